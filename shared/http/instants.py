"""Bounds of time for everything that comes in: instants from 2000 to 2100, days (of birth) from 1900.

What a database, a calendar or a page can't hold is refused where it is read, whichever way it came.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from functools import lru_cache

import msgspec
from msgspec import Struct, inspect

from shared.errors import InvalidInput

EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2101, 1, 1, tzinfo=UTC)
EARLIEST_DAY, LATEST_DAY = date(1900, 1, 1), date(2100, 12, 31)


def check_instants(value: object, path: str = "") -> None:
    """Raises `InvalidInput` naming the field below `path` whose time is out of bounds."""
    if isinstance(value, datetime):
        if not EARLIEST <= value < LATEST:
            raise InvalidInput.of(path, "Expected a time from 2000 to 2100", "时间应在 2000 至 2100 年")
    elif isinstance(value, date):
        if not EARLIEST_DAY <= value <= LATEST_DAY:
            raise InvalidInput.of(path, "Expected a day from 1900 to 2100", "日期应在 1900 至 2100 年")
    elif isinstance(value, Struct):
        for attribute, name in timed_fields(type(value)):
            member: object = getattr(value, attribute)
            check_instants(member, f"{path}.{name}" if path else name)
    elif isinstance(value, list | tuple):
        members: Sequence[object] = value
        for index, item in enumerate(members):
            check_instants(item, f"{path}[{index}]")


@lru_cache(maxsize=512)
def timed_fields(schema: type[Struct]) -> tuple[tuple[str, str], ...]:
    """(attribute, name on the wire) of the fields of `schema` that may hold a time, at whatever depth."""
    fields = msgspec.structs.fields(schema)
    kinds = inspect.multi_type_info([field.type for field in fields])
    return tuple(
        (field.name, field.encode_name)
        for field, kind in zip(fields, kinds, strict=True)
        if _may_hold_time(kind)
    )


def _may_hold_time(kind: inspect.Type) -> bool:
    if isinstance(kind, inspect.DateTimeType | inspect.DateType):
        return True
    if isinstance(kind, inspect.StructType):
        return bool(timed_fields(kind.cls))
    return any(_may_hold_time(part) for part in _parts_of(kind))


def _parts_of(kind: inspect.Type) -> Iterator[inspect.Type]:
    if isinstance(kind, inspect.Metadata):
        yield kind.type
    elif isinstance(kind, inspect.UnionType):
        yield from kind.types
    elif isinstance(kind, inspect.ListType | inspect.VarTupleType):
        yield kind.item_type
    elif isinstance(kind, inspect.TupleType):
        yield from kind.item_types
