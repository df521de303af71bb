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


def misfits(board: dict[str, Any]) -> list[str]:
    """What of a dashboard's JSON the schema does not know, or knows otherwise: empty where all fits."""
    register_default_plugins()
    read = Dashboard.from_json(json.loads(json.dumps(board)))
    again = json.loads(JSONEncoder().encode(read))
    return [*_unlike("", board, again), *_mistyped("", read, Dashboard)]


def _unlike(path: str, written: Any, known: Any) -> list[str]:
    """Where reading by the schema and writing again does not give the same: fields that it does not know."""
    if isinstance(written, dict) and isinstance(known, dict):
        lost = [f"{path}.{key}: not known" for key in written.keys() - known.keys()]
        both = sorted(written.keys() & known.keys())
        return lost + [found for key in both for found in _unlike(f"{path}.{key}", written[key], known[key])]
    if isinstance(written, list) and isinstance(known, list) and len(written) == len(known):
        pairs = enumerate(zip(written, known, strict=True))
        return [found for place, (one, two) in pairs for found in _unlike(f"{path}[{place}]", one, two)]
    return [] if written == known else [f"{path}: {written!r} is not {known!r}"]


def _mistyped(path: str, value: Any, kind: Any) -> list[str]:
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        tried = [_mistyped(path, value, one) for one in inner if (one is types.NoneType) == (value is None)]
        return min(tried, key=len, default=[f"{path}: is not told"])
    if origin is list and isinstance(value, list):
        return _each(((f"{path}[{place}]", one) for place, one in enumerate(value)), inner[0])
    if origin is dict and isinstance(value, dict):
        return _each(((f"{path}.{key}", one) for key, one in value.items()), inner[1])
    if origin is typing.Literal:
        return [] if value in inner else [f"{path}: {value!r} is none of {inner}"]
    if isinstance(value, dict) and hasattr(kind, "from_json"):  # the kit reads some parts no deeper
        value = kind.from_json(value)
    return _inside(path, value) if _is_a(value, origin or kind) else [f"{path}: {value!r} is not {kind}"]


def _each(values: Iterable[tuple[str, Any]], kind: Any) -> list[str]:
    return [found for path, value in values for found in _mistyped(path, value, kind)]


def _is_a(value: Any, kind: Any) -> bool:
    if kind in (object, Any):
        return True
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return value in [one.value for one in kind]
    return isinstance(kind, type) and isinstance(value, kind)


def _inside(path: str, value: Any) -> list[str]:
    """The fields of an object of the kit."""
    if not type(value).__module__.startswith("grafana_foundation_sdk.models") or isinstance(value, Enum):
        return []
    hints = typing.get_type_hints(type(value)).items()
    return [
        found for name, kind in hints for found in _mistyped(f"{path}.{name}", getattr(value, name), kind)
    ]
