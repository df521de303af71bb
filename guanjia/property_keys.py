"""The keys of the property file, read from its structs: name, type, default, meaning and example of each.

What a key means stands below its field: "中文: meaning. Example: `value`". A field without it is refused.
"""

import ast
import inspect
import json
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from types import NoneType, UnionType
from typing import Annotated, Literal, cast, get_args, get_origin
from zoneinfo import ZoneInfo

from msgspec import NODEFAULT, Meta, Struct, structs

from shared.properties.property import Property
from shared.properties.values import Duration, Floors, Minute

MEANING = re.compile(r"(?P<chinese>[^:]+): (?P<meaning>.+?)\.?(?: Example: `(?P<example>.+)`)?")
TYPE_NAMES: Mapping[object, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "`true` or `false`",
    date: "day",
    Duration: "duration",
    Minute: "time of day",
    Floors: "floors",
    ZoneInfo: "time zone",
}
FOLDER_NAME = (Property, "id")
"""Is not written in the file: the folder's name says it."""
UNIT_SECONDS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


class MeaningMissing(Exception):
    """A field of a struct that reads the property file does not say what it means, or shows no example."""


@dataclass(frozen=True)
class Key:
    """A key of one table. `example` is empty where it is a table itself, `table` None where it is none."""

    name: str
    chinese: str
    meaning: str
    example: str
    type_name: str
    default: str
    table: type[Struct] | None
    repeats: bool


def list_keys(struct: type[Struct]) -> list[Key]:
    """The keys of the table that `struct` reads, in its order. Raises MeaningMissing."""
    docstrings = read_docstrings(struct)
    fields = [field for field in structs.fields(struct) if (struct, field.name) != FOLDER_NAME]
    return [describe_key(struct, field, docstrings.get(field.name, "")) for field in fields]


def describe_key(struct: type[Struct], field: structs.FieldInfo, docstring: str) -> Key:
    """One key, with what stands below its field. Raises MeaningMissing."""
    match, kind = MEANING.fullmatch(docstring), cast(object, field.type)
    table = find_table(kind)
    if match is None or not (match["example"] or table):
        raise MeaningMissing(
            f"{struct.__module__}.{struct.__name__}.{field.name}: below it must stand what it means, "
            'as "中文: meaning. Example: `value`"'
        )
    return Key(
        name=field.encode_name,
        chinese=match["chinese"],
        meaning=match["meaning"],
        example=match["example"] or "",
        type_name=name_type(kind),
        default=describe_default(field),
        table=table,
        repeats=split_type(kind)[0] is list,
    )


def read_docstrings(struct: type[Struct]) -> dict[str, str]:
    """The text below each field of `struct` that has one, on one line."""
    lines = [
        line
        for tree in ast.parse(textwrap.dedent(inspect.getsource(struct))).body
        if isinstance(tree, ast.ClassDef)
        for line in tree.body
    ]
    return {
        field.target.id: " ".join(text.value.value.split())
        for field, text in pairwise(lines)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
        if isinstance(text.value.value, str)
    }


def split_type(kind: object) -> tuple[object, tuple[object, ...]]:
    """What a type is made of: its origin, None where it has none, and its parts."""
    return cast(object, get_origin(kind)), cast(tuple[object, ...], get_args(kind))


def find_table(kind: object) -> type[Struct] | None:
    """The struct that a key of this type leads to: a table, one of several, or one by its keys."""
    if isinstance(kind, type) and issubclass(kind, Struct):
        return kind
    origin, parts = split_type(kind)
    return find_table(parts[-1]) if origin in (list, dict) else None


def name_type(kind: object) -> str:
    """A type in words. Raises KeyError for one that no property file has had yet."""
    origin, parts = split_type(kind)
    if origin is Annotated:
        return name_type(parts[0]) + "".join(
            describe_limits(meta) for meta in parts[1:] if isinstance(meta, Meta)
        )
    if origin is Literal:
        return "one of " + ", ".join(f"`{value}`" for value in parts)
    if origin is list:
        return "tables" if find_table(kind) else f"list: {name_type(parts[0])}"
    if origin is dict:
        return "tables" if find_table(kind) else f"table: {name_type(parts[0])} = {name_type(parts[1])}"
    if origin is UnionType or len(parts) > 1:
        return " or ".join(name_type(part) for part in parts if part is not NoneType)
    return "table" if find_table(kind) else TYPE_NAMES[kind]


def describe_limits(meta: Meta) -> str:
    """The bounds of a type, in words."""
    if meta.pattern is not None:
        return f" like `{meta.pattern}`"
    if meta.max_length is not None:
        return f", {meta.min_length or 0} to {meta.max_length} characters"
    return f", {meta.ge} to {meta.le}"


def describe_default(field: structs.FieldInfo) -> str:
    """What holds where the key is left out; a dash where that is nothing."""
    if field.required:
        return "needed"
    default = find_default(field)
    is_nothing = default in (None, "", [], {}, ()) or isinstance(default, Struct)
    return "–" if is_nothing else f"`{write_value(default)}`"


def find_default(field: structs.FieldInfo) -> object:
    """The value of a key that is left out."""
    if field.default_factory is NODEFAULT:
        return cast(object, field.default)
    return cast(Callable[[], object], field.default_factory)()


def write_value(value: object) -> str:
    """A value as it is written in the file."""
    match value:
        case Minute():
            return f'"{value // 60:02}:{value % 60:02}"'
        case Duration():
            return f'"{write_duration(value)}"'
        case Struct():
            names = (field.encode_name for field in structs.fields(value))
            parts = map(write_value, cast(Iterable[object], structs.astuple(value)))
            return f"{{ {', '.join(f'{name} = {part}' for name, part in zip(names, parts, strict=True))} }}"
        case list():
            return f"[{', '.join(map(write_value, cast(list[object], value)))}]"
        case _:
            return json.dumps(value, ensure_ascii=False)


def write_duration(duration: timedelta) -> str:
    """In the largest unit that it is a multiple of."""
    seconds = int(duration.total_seconds())
    return next(f"{seconds // size}{unit}" for unit, size in UNIT_SECONDS if seconds % size == 0)


def write_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
