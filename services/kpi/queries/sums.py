"""What all families come to in all windows as of an instant: one statement over one index."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import BigInteger, ColumnElement, Select, and_, case, func, literal, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from services.kpi.domain.figures import Sums, Totals
from services.kpi.domain.items import to_micros
from services.kpi.domain.rate import How
from services.kpi.domain.rates import families_by
from services.kpi.domain.windows import WINDOWS, Window, window_starts
from services.kpi.domain.word_of_mouth import FAMILIES
from services.kpi.models import items

Number = ColumnElement[int]


async def sum_families(connection: AsyncConnection, property_id: str, now: datetime, zone: ZoneInfo) -> Sums:
    """What every family comes to in every window that ends at `now`: one statement."""
    starts = {window: to_micros(start) for window, start in window_starts(now, zone).items()}
    statement = union_all(
        _sum_in_windows("counted", families_by("counted") | FAMILIES, property_id, starts, to_micros(now)),
        _sum_in_windows("standing", families_by("standing"), property_id, starts, to_micros(now)),
        _sum_in_windows("spanning", families_by("spanning"), property_id, starts, to_micros(now)),
    )
    return {
        (row[0], row[1], window): Totals(int(row[2 + 2 * number]), int(row[3 + 2 * number]))
        for row in await connection.execute(statement)
        for number, window in enumerate(WINDOWS)
    }


def _sum_in_windows(
    how: How, families: Collection[str], property_id: str, starts: Mapping[Window, int], now: int
) -> Select[Any]:
    columns = [
        func.coalesce(func.sum(part), 0)
        for window in WINDOWS
        for part in contribution(how, starts[window], now)
    ]
    counted = is_inside(how, families, property_id, min(starts.values()), now)
    return select(literal(how), items.c.family, *columns).where(counted).group_by(items.c.family)


def is_inside(
    how: How, families: Collection[str], property_id: str, start: int, now: int
) -> ColumnElement[bool]:
    """Items that may contribute as of `now` in a window that begins at `start`."""
    conditions = [items.c.property == property_id, items.c.family.in_(sorted(families))]
    if how == "spanning":
        return and_(*conditions, items.c.since < now, items.c.until > start)
    conditions += [items.c.since <= now, items.c.until > now]
    if how == "counted":
        conditions += [items.c.counted_at >= start, items.c.counted_at <= now]
    return and_(*conditions)


def contribution(how: How, start: int, now: int) -> tuple[Number, Number]:
    """Denominator and numerator of an item `is_inside` some window, in the one that begins at `start`."""
    if how == "standing":
        return items.c.weight, items.c.good
    if how == "counted":
        counts = items.c.counted_at >= start
        return _where(counts, items.c.weight), _where(counts, items.c.good)
    end = case((items.c.until < now, items.c.until), else_=_number(now))
    begin = case((items.c.since > start, items.c.since), else_=_number(start))
    counts = items.c.until > start
    return _where(counts, (end - begin) * items.c.weight), _where(counts, (end - begin) * items.c.good)


def _where(condition: ColumnElement[bool], value: Number) -> Number:
    return case((condition, value), else_=_number(0))


def _number(value: int) -> Number:
    return literal(value, BigInteger)
