"""Reads of kpi: what all families come to in all windows as of an instant, and the items behind a rate."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Delete,
    Row,
    Select,
    Table,
    Tuple,
    and_,
    case,
    delete,
    exists,
    func,
    literal,
    or_,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from services.kpi.items import Item, Thing, micros
from services.kpi.models import cases, facts, items
from services.kpi.mood import FAMILIES
from services.kpi.rates import How, Part, Rate, Side, Sums, families_by
from services.kpi.windows import WINDOWS, Window, window_starts
from shared.messages import CaseState, Event, decode

Number = ColumnElement[int]
_case = msgspec.json.Decoder(CaseState)


class Position(NamedTuple):
    """Where a page of evidence ends."""

    counted_at: int
    kind: str
    thing: str
    seq: int


class Evidence(NamedTuple):
    """Which items are asked for. The shortfall is what keeps a rate from its best: what is not good, or what
    counts against it."""

    property_id: str
    rate: Rate
    side: Side
    start: datetime
    now: datetime


async def sums(connection: AsyncConnection, property_id: str, now: datetime, zone: ZoneInfo) -> Sums:
    """What every family comes to in every window that ends at `now`: one statement."""
    starts = {window: micros(start) for window, start in window_starts(now, zone).items()}
    statement = union_all(
        _summed("counted", [*families_by("counted"), *FAMILIES], property_id, starts, micros(now)),
        _summed("standing", families_by("standing"), property_id, starts, micros(now)),
        _summed("spanning", families_by("spanning"), property_id, starts, micros(now)),
    )
    return {
        (row[0], window): (int(row[1 + 2 * place]), int(row[2 + 2 * place]))
        for row in await connection.execute(statement)
        for place, window in enumerate(WINDOWS)
    }


async def evidence(
    connection: AsyncConnection, asked: Evidence, after: Position | None, limit: int
) -> Sequence[Row[Any]]:
    """The items that were counted, the latest first; `came_to` and `good_of_it` are what each contributed."""
    part, wanted = _side(asked.rate, asked.side)
    start, now = micros(asked.start), micros(asked.now)
    weight, good = _contribution(part.how, start, now)
    place = tuple_(items.c.counted_at, items.c.kind, items.c.thing, items.c.seq)
    case_of = and_(cases.c.property == items.c.property, cases.c.case_id == items.c.case_id)
    query = (
        select(items, weight.label("came_to"), good.label("good_of_it"), cases.c.number)
        .outerjoin_from(items, cases, case_of)
        .where(_inside(part.how, part.families, asked.property_id, start, now), wanted)
        .order_by(*(column.desc() for column in place.clauses))
        .limit(limit)
    )
    if after is not None:
        query = query.where(place < _values(place, after))
    return (await connection.execute(query)).all()


def position(row: Row[Any]) -> Position:
    """Where a row of evidence stands."""
    return Position(row.counted_at, row.kind, row.thing, row.seq)


async def bills_of(connection: AsyncConnection, payments: Iterable[Thing]) -> set[Thing]:
    """The bills that any version of these payments is towards."""
    found: set[Thing] = set()
    for (property_id, kind), ids in grouped(payments).items():
        query = select(facts.c.bill).where(_about(facts, property_id, kind, ids), facts.c.bill.is_not(None))
        found |= {Thing(property_id, "bill", row.bill) for row in await connection.execute(query)}
    return found


async def told(connection: AsyncConnection, things: Iterable[Thing]) -> list[Event]:
    """Every fact about these things; about bills also all facts of the payments towards them."""
    bodies: list[bytes] = []
    for (property_id, kind), ids in grouped(things).items():
        bodies += await connection.scalars(select(facts.c.body).where(_about(facts, property_id, kind, ids)))
        if kind == "bill":
            towards = select(facts.c.thing).where(facts.c.property == property_id, facts.c.bill.in_(ids))
            bodies += await connection.scalars(
                select(facts.c.body).where(_about(facts, property_id, "payment", towards))
            )
    return [decode(body) for body in bodies]


async def items_of(connection: AsyncConnection, things: Iterable[Thing]) -> dict[Thing, list[Item]]:
    """The items that are kept of these things; things without any are left out."""
    kept: dict[Thing, list[Item]] = defaultdict(list)
    for (property_id, kind), ids in grouped(things).items():
        query = (
            select(items).where(_about(items, property_id, kind, ids)).order_by(items.c.thing, items.c.seq)
        )
        for row in await connection.execute(query):
            kept[Thing(row.property, row.kind, row.thing)].append(_item(row))
    return kept


async def things_after(connection: AsyncConnection, last: Thing, limit: int) -> list[Thing]:
    """The next things that the log knows of, in order."""
    place = tuple_(facts.c.property, facts.c.kind, facts.c.thing)
    query = select(*place.clauses).where(place > _values(place, last)).distinct().order_by(*place.clauses)
    return [Thing(*row) for row in await connection.execute(query.limit(limit))]


async def cases_after(connection: AsyncConnection, last: tuple[str, str], limit: int) -> list[CaseState]:
    """The next cases in order, held until the end of the transaction."""
    place = tuple_(cases.c.property, cases.c.case_id)
    query = select(cases.c.body).where(place > _values(place, last)).order_by(*place.clauses)
    return [_case.decode(body) for body in await connection.scalars(query.limit(limit).with_for_update())]


def orphans() -> Delete:
    """Removes items of things that neither the log nor the cases know."""
    told = exists().where(
        facts.c.property == items.c.property, facts.c.kind == items.c.kind, facts.c.thing == items.c.thing
    )
    known = exists().where(cases.c.property == items.c.property, cases.c.case_id == items.c.thing)
    return delete(items).where(or_(and_(items.c.kind == "case", ~known), and_(items.c.kind != "case", ~told)))


def grouped(things: Iterable[Thing]) -> dict[tuple[str, str], list[str]]:
    """(property, kind) → ids."""
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for thing in sorted(things):
        groups[thing.property, thing.kind].append(thing.id)
    return groups


def _values(place: Tuple, values: tuple[Any, ...]) -> Tuple:
    """A row of values that compares with a row of columns."""
    return tuple_(*(literal(v, column.type) for v, column in zip(values, place.clauses, strict=True)))


def _about(table: Table, property_id: str, kind: str, ids: Any) -> ColumnElement[bool]:
    return and_(table.c.property == property_id, table.c.kind == kind, table.c.thing.in_(ids))


def _item(row: Row[Any]) -> Item:
    return Item(row.family, row.counted_at, row.since, row.until, row.weight, row.good, row.case_id)


def _side(rate: Rate, side: Side) -> tuple[Part, ColumnElement[bool]]:
    """Which families a side is made of, and which of their items."""
    if side == "denominator":
        return rate.denominator, items.c.weight > 0
    if side == "numerator" or rate.numerator != rate.denominator:
        return rate.numerator, items.c.good > 0
    return rate.numerator, items.c.good < items.c.weight


def _summed(
    how: How, families: Sequence[str], property_id: str, starts: Mapping[Window, int], now: int
) -> Select[Any]:
    columns = [
        func.coalesce(func.sum(part), 0)
        for window in WINDOWS
        for part in _contribution(how, starts[window], now)
    ]
    inside = _inside(how, families, property_id, min(starts.values()), now)
    return select(items.c.family, *columns).where(inside).group_by(items.c.family)


def _inside(how: How, families: Sequence[str], property_id: str, start: int, now: int) -> ColumnElement[bool]:
    """Items that may contribute as of `now` in a window that begins at `start`."""
    conditions = [items.c.property == property_id, items.c.family.in_(families)]
    if how == "spanning":
        return and_(*conditions, items.c.since < now, items.c.until > start)
    conditions += [items.c.since <= now, items.c.until > now]
    if how == "counted":
        conditions += [items.c.counted_at >= start, items.c.counted_at <= now]
    return and_(*conditions)


def _contribution(how: How, start: int, now: int) -> tuple[Number, Number]:
    """Weight and good of an item that is `_inside` some window, in the one that begins at `start`."""
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
