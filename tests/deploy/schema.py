"""Grafana's schema of a dashboard, as its kit has it: every field is known, every value of its type."""

import json
import types
import typing
from collections.abc import Iterable
from enum import Enum
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard


def find_misfits(board: dict[str, Any]) -> list[str]:
    """What of a dashboard's JSON the schema does not know, or knows otherwise: empty where all fits."""
    register_default_plugins()
    decoded = Dashboard.from_json(json.loads(json.dumps(board)))
    written_again = json.loads(JSONEncoder().encode(decoded))
    return [*_find_differences("", board, written_again), *_find_mistyped("", decoded, Dashboard)]


def _find_differences(path: str, written: Any, expected: Any) -> list[str]:
    """Where reading by the schema and writing again does not give the same: fields that it does not know."""
    if isinstance(written, dict) and isinstance(expected, dict):
        lost = [f"{path}.{key}: not known" for key in written.keys() - expected.keys()]
        both = sorted(written.keys() & expected.keys())
        return lost + [
            misfit
            for key in both
            for misfit in _find_differences(f"{path}.{key}", written[key], expected[key])
        ]
    if isinstance(written, list) and isinstance(expected, list) and len(written) == len(expected):
        pairs = enumerate(zip(written, expected, strict=True))
        return [
            misfit
            for number, (item, other) in pairs
            for misfit in _find_differences(f"{path}[{number}]", item, other)
        ]
    return [] if written == expected else [f"{path}: {written!r} is not {expected!r}"]


def _find_mistyped(path: str, value: Any, kind: Any) -> list[str]:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        attempts = [
            _find_mistyped(path, value, item)
            for item in arguments
            if (item is types.NoneType) == (value is None)
        ]
        return min(attempts, key=len, default=[f"{path}: is not told"])
    if origin is list and isinstance(value, list):
        return _find_mistyped_in_all(
            ((f"{path}[{number}]", item) for number, item in enumerate(value)), arguments[0]
        )
    if origin is dict and isinstance(value, dict):
        return _find_mistyped_in_all(((f"{path}.{key}", item) for key, item in value.items()), arguments[1])
    if origin is typing.Literal:
        return [] if value in arguments else [f"{path}: {value!r} is none of {arguments}"]
    if isinstance(value, dict) and hasattr(kind, "from_json"):  # the kit reads some parts no deeper
        value = kind.from_json(value)
    return (
        _find_mistyped_fields(path, value)
        if _is_instance(value, origin or kind)
        else [f"{path}: {value!r} is not {kind}"]
    )


def _find_mistyped_in_all(values: Iterable[tuple[str, Any]], kind: Any) -> list[str]:
    return [misfit for path, value in values for misfit in _find_mistyped(path, value, kind)]


def _is_instance(value: Any, kind: Any) -> bool:
    if kind in (object, Any):
        return True
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return value in [item.value for item in kind]
    return isinstance(kind, type) and isinstance(value, kind)


def _find_mistyped_fields(path: str, value: Any) -> list[str]:
    """The fields of an object of the kit."""
    if not type(value).__module__.startswith("grafana_foundation_sdk.models") or isinstance(value, Enum):
        return []
    hints = typing.get_type_hints(type(value)).items()
    return [
        misfit
        for name, kind in hints
        for misfit in _find_mistyped(f"{path}.{name}", getattr(value, name), kind)
    ]
