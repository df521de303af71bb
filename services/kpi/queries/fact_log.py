"""What is known of things: their facts in the log, the cases, the items that are kept of them."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Delete,
    Row,
    Select,
    Text,
    Tuple,
    and_,
    delete,
    exists,
    func,
    literal,
    or_,
    select,
    true,
    tuple_,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from services.kpi.domain.items import FactSubject, Item
from services.kpi.models import cases, facts, items
from shared.messages.cloudevents import Event, decode
from shared.messages.events import CaseState

_case = msgspec.json.Decoder(CaseState)


async def bills_paid_by(connection: AsyncConnection, payments: Iterable[FactSubject]) -> set[FactSubject]:
    """The bills that any version of these payments is towards."""
    found = [
        FactSubject(property_id, "bill", row.bill)
        for (property_id, kind), ids in group_by_kind(payments).items()
        for row in await _look_up(connection, ids, _facts_of(property_id, kind, facts.c.bill))
    ]
    return {thing for thing in found if thing.id is not None}


async def facts_about(connection: AsyncConnection, things: Iterable[FactSubject]) -> list[Event]:
    """Every fact about these things; about bills also all facts of the payments towards them."""
    bodies: list[Row[Any]] = []
    for (property_id, kind), ids in group_by_kind(things).items():
        bodies += await _look_up(connection, ids, _facts_of(property_id, kind, facts.c.body))
        if kind == "bill":
            payments = await _payments_of(connection, property_id, ids)
            bodies += await _look_up(connection, payments, _facts_of(property_id, "payment", facts.c.body))
    return [decode(row.body) for row in bodies]


async def _payments_of(connection: AsyncConnection, property_id: str, bills: Sequence[str]) -> list[str]:
    def towards(asked: Matches) -> Select[Any]:
        return select(facts.c.thing).where(facts.c.property == property_id, asked(facts.c.bill))

    return sorted({row.thing for row in await _look_up(connection, bills, towards)})


async def stored_items(
    connection: AsyncConnection, things: Iterable[FactSubject]
) -> dict[FactSubject, list[Item]]:
    """The items that are kept of these things; things without any are left out."""
    kept: dict[FactSubject, list[Item]] = defaultdict(list)
    for (property_id, kind), ids in group_by_kind(things).items():
        for row in await _look_up(connection, ids, _items_of(property_id, kind)):
            kept[FactSubject(row.property, row.kind, row.thing)].append(_item(row))
    return kept


Matches = Callable[[ColumnElement[Any]], ColumnElement[bool]]
"""Whether a column holds an id that is asked for."""
Lookup = Callable[[Matches], Select[Any]]


async def _look_up(connection: AsyncConnection, ids: Sequence[str], lookup: Lookup) -> Sequence[Row[Any]]:
    """The rows of every id, each found by the index: what the planner knows of a young table misleads it."""
    if connection.dialect.name == "sqlite":
        known = func.json_each(msgspec.json.encode(ids).decode()).table_valued("value", name="asked")
        return (await connection.execute(lookup(lambda column: column.in_(select(known.c.value))))).all()
    wanted = func.unnest(literal(ids, ARRAY(Text))).table_valued("value", name="asked").render_derived()
    each = lookup(lambda column: column == wanted.c.value).offset(0).lateral("each")
    return (await connection.execute(select(each).select_from(wanted.join(each, true())))).all()


def _facts_of(property_id: str, kind: str, column: ColumnElement[Any]) -> Lookup:
    def lookup(asked: Matches) -> Select[Any]:
        about = and_(facts.c.property == property_id, facts.c.kind == kind, asked(facts.c.thing))
        return select(column).where(about)

    return lookup


def _items_of(property_id: str, kind: str) -> Lookup:
    def lookup(asked: Matches) -> Select[Any]:
        about = and_(items.c.property == property_id, items.c.kind == kind, asked(items.c.thing))
        return select(items).where(about).order_by(items.c.seq)

    return lookup


async def subjects_after(connection: AsyncConnection, last: FactSubject, limit: int) -> list[FactSubject]:
    """The next things that the log knows of, in order."""
    place = tuple_(facts.c.property, facts.c.kind, facts.c.thing)
    query = select(*place.clauses).where(place > row_value(place, last)).distinct().order_by(*place.clauses)
    return [FactSubject(*row) for row in await connection.execute(query.limit(limit))]


async def cases_after(connection: AsyncConnection, last: tuple[str, str], limit: int) -> list[CaseState]:
    """The next cases in order, held until the end of the transaction."""
    place = tuple_(cases.c.property, cases.c.case_id)
    query = select(cases.c.body).where(place > row_value(place, last)).order_by(*place.clauses)
    return [_case.decode(body) for body in await connection.scalars(query.limit(limit).with_for_update())]


def delete_orphans() -> Delete:
    """Removes items of things that neither the log nor the cases know."""
    told = exists().where(
        facts.c.property == items.c.property, facts.c.kind == items.c.kind, facts.c.thing == items.c.thing
    )
    known = exists().where(cases.c.property == items.c.property, cases.c.case_id == items.c.thing)
    return delete(items).where(or_(and_(items.c.kind == "case", ~known), and_(items.c.kind != "case", ~told)))


def group_by_kind(things: Iterable[FactSubject]) -> dict[tuple[str, str], list[str]]:
    """(property, kind) → ids."""
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for thing in sorted(things):
        groups[thing.property, thing.kind].append(thing.id)
    return groups


def row_value(place: Tuple, values: tuple[Any, ...]) -> Tuple:
    """A row of values that compares with a row of columns."""
    return tuple_(*(literal(v, column.type) for v, column in zip(values, place.clauses, strict=True)))


def _item(row: Row[Any]) -> Item:
    return Item(row.family, row.counted_at, row.since, row.until, row.weight, row.good, row.case_id)
