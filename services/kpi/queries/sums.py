"""What all families come to in all windows as of an instant, and until when: one statement over one index."""

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from functools import lru_cache
from typing import Any, cast
from zoneinfo import ZoneInfo

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    CompoundSelect,
    Select,
    and_,
    bindparam,
    case,
    func,
    literal,
    select,
    true,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from services.kpi.domain.figures import RunningSums, SumKey, Totals
from services.kpi.domain.items import FOREVER, to_micros
from services.kpi.domain.rate import How
from services.kpi.domain.rates import families_by
from services.kpi.domain.windows import WINDOWS, window_starts
from services.kpi.domain.word_of_mouth import FAMILIES
from services.kpi.models import items
from shared.database.types import Key

Number = ColumnElement[int]
FamilyRow = tuple[How, str, int | None, int, int, *tuple[int, ...]]
"""How a family is counted, its name, the next edge, the growth of both sides, both sides in each window."""
_ZERO: Number = literal(0, BigInteger)


async def sum_families(
    connection: AsyncConnection, property_id: str, now: datetime, zone: ZoneInfo
) -> RunningSums:
    """What every family comes to in every window that ends at `now`, and how that goes on: one statement."""
    starts = {window: to_micros(start) for window, start in window_starts(now, zone).items()}
    values = {"now": to_micros(now), "earliest": min(starts.values()), "property": property_id} | {**starts}
    by_how = (families_by("counted") | FAMILIES, families_by("standing"), families_by("spanning"))
    rows = await connection.execute(_sum_in_windows(*(frozenset(names) for names in by_how)), values)
    return _running_sums(cast(Iterable[FamilyRow], rows))


@lru_cache(maxsize=1)
def _sum_in_windows(
    counted: Collection[str], standing: Collection[str], spanning: Collection[str]
) -> CompoundSelect[Any]:
    """The statement: to make it takes as long as to execute it for a small property."""
    return union_all(
        _sum_by("counted", counted), _sum_by("standing", standing), _sum_by("spanning", spanning)
    )


def _running_sums(rows: Iterable[FamilyRow]) -> RunningSums:
    sums: dict[SumKey, Totals] = {}
    growth: dict[SumKey, Totals] = {}
    next_edge = FOREVER
    for how, family, edge, grown_denominator, grown_numerator, *by_window in rows:
        next_edge = min(next_edge, FOREVER if edge is None else edge)
        for number, window in enumerate(WINDOWS):
            sums[how, family, window] = Totals(int(by_window[2 * number]), int(by_window[2 * number + 1]))
            growth[how, family, window] = Totals(int(grown_denominator), int(grown_numerator))
    return RunningSums(sums, growth, next_edge)


def _sum_by(how: How, families: Collection[str]) -> Select[Any]:
    """A row for each family: the next edge, what it grows by, and what it comes to in each window."""
    now = _instant("now")
    columns = [
        *_growth(how, now),
        *(part for window in WINDOWS for part in _totals(how, _instant(window), now)),
    ]
    query = select(literal(how), items.c.family, func.min(_next_edge(how, now)), *columns)
    kept = _is_not_over(how, families, _instant("earliest"), now)
    of_property = items.c.property == bindparam("property", type_=Key)
    return query.where(of_property, kept).group_by(items.c.family)


def _totals(how: How, start: Number, now: Number) -> Iterator[Number]:
    """Denominator and numerator of a family in the window that begins at `start`."""
    inside = and_(_reaches_into_window(how, start), _has_begun(how, now))
    for part in contribution(how, start, now):
        yield func.coalesce(func.sum(part).filter(inside), 0)


def _instant(name: str) -> Number:
    return bindparam(name, type_=BigInteger)


def instant_literal(micros: int) -> Number:
    """An instant in a statement."""
    return literal(micros, BigInteger)


def is_inside(how: How, families: Collection[str], start: Number, now: Number) -> ColumnElement[bool]:
    """Items that contribute as of `now` in the window that begins at `start`."""
    return and_(_is_not_over(how, families, start, now), _has_begun(how, now))


def contribution(how: How, start: Number, now: Number) -> tuple[Number, Number]:
    """Denominator and numerator of an item that `is_inside` the window that begins at `start`."""
    if how != "spanning":
        return items.c.weight, items.c.good
    end = case((items.c.until < now, items.c.until), else_=now)
    begin = case((items.c.since > start, items.c.since), else_=start)
    return (end - begin) * items.c.weight, (end - begin) * items.c.good


def _is_not_over(how: How, families: Collection[str], start: Number, now: Number) -> ColumnElement[bool]:
    """Items that contribute at `now` or may later, in windows of which the earliest begins at `start`."""
    members = and_(items.c.family.in_(sorted(families)), _reaches_into_window(how, start))
    return members if how == "spanning" else and_(members, items.c.until > now)


def _reaches_into_window(how: How, start: Number) -> ColumnElement[bool]:
    if how == "counted":
        return items.c.counted_at >= start
    return items.c.until > start if how == "spanning" else true()


def _has_begun(how: How, now: Number) -> ColumnElement[bool]:
    if how == "spanning":
        return items.c.since < now
    exists = items.c.since <= now
    return and_(exists, items.c.counted_at <= now) if how == "counted" else exists


def _next_edge(how: How, now: Number) -> ColumnElement[int | None]:
    """When an item that is not over first counts or no longer does; perhaps too early, never too late."""
    ends = (items.c.until > now, items.c.until)
    begins = (items.c.since > now, items.c.since)
    if how == "counted":
        return case((items.c.counted_at > now, items.c.counted_at), begins, ends)
    return case(begins, ends)


def _growth(how: How, now: Number) -> tuple[Number, Number]:
    """What denominator and numerator grow by each microsecond until the next edge."""
    if how != "spanning":
        return _ZERO, _ZERO
    runs = and_(items.c.since <= now, items.c.until > now)
    return (
        func.coalesce(func.sum(items.c.weight).filter(runs), 0),
        func.coalesce(func.sum(items.c.good).filter(runs), 0),
    )
