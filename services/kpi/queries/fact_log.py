"""What is stored about subjects: their facts in the log, the cases, the items that follow from them."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Row,
    Select,
    Text,
    Tuple,
    and_,
    func,
    literal,
    select,
    true,
    tuple_,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from services.kpi.domain.items import FactSubject, Item
from services.kpi.domain.timelines import Fact
from services.kpi.models import cases, facts, items
from shared.messages.cloudevents import Event, decode
from shared.messages.events import CaseState

_case = msgspec.json.Decoder(CaseState)

Matches = Callable[[ColumnElement[str]], ColumnElement[bool]]
"""Whether a column holds one of the ids that are looked up."""
Lookup = Callable[[Matches], Select[Any]]


class StoredItem(NamedTuple):
    """A row of items."""

    property: str
    kind: str
    id: str
    family: str
    counted_at: int
    since: int
    until: int
    denominator: int
    numerator: int
    case: str

    @staticmethod
    def columns() -> Sequence[ColumnElement[Any]]:
        """In the order of the fields."""
        names = ("property", "kind", "thing", "family", "counted_at", "since", "until", "weight", "good")
        return [items.c[name] for name in (*names, "case_id")]

    def subject(self) -> FactSubject:
        """What the item is of."""
        return FactSubject(self.property, self.kind, self.id)

    def item(self) -> Item:
        """The item itself."""
        sides = (self.denominator, self.numerator)
        return Item(self.family, self.counted_at, self.since, self.until, *sides, self.case)


async def bills_paid_by(connection: AsyncConnection, payments: Iterable[FactSubject]) -> set[FactSubject]:
    """The bills that any version of these payments is towards."""
    return {
        FactSubject(property_id, "bill", row.bill)
        for (property_id, kind), ids in group_by_kind(payments).items()
        for row in await _look_up(connection, ids, _facts_of(property_id, kind, facts.c.bill))
        if row.bill is not None
    }


async def facts_about(connection: AsyncConnection, subjects: Iterable[FactSubject]) -> list[Event[Fact]]:
    """Every fact about these subjects; about bills also all facts of the payments towards them."""
    events: list[Event[Fact]] = []
    for (property_id, kind), ids in group_by_kind(subjects).items():
        events += await _facts_by_ids(connection, property_id, kind, ids)
        if kind == "bill":
            payments = await _payments_of(connection, property_id, ids)
            events += await _facts_by_ids(connection, property_id, "payment", payments)
    return events


async def _facts_by_ids(
    connection: AsyncConnection, property_id: str, kind: str, ids: Sequence[str]
) -> list[Event[Fact]]:
    rows = await _look_up(connection, ids, _facts_of(property_id, kind, facts.c.body))
    return [decode(row.body) for row in rows]


async def _payments_of(connection: AsyncConnection, property_id: str, bills: Sequence[str]) -> list[str]:
    def towards(matches: Matches) -> Select[Any]:
        return select(facts.c.thing).where(facts.c.property == property_id, matches(facts.c.bill))

    return sorted({row.thing for row in await _look_up(connection, bills, towards)})


async def stored_items(
    connection: AsyncConnection, subjects: Iterable[FactSubject]
) -> dict[FactSubject, list[Item]]:
    """The items that are stored of these subjects; subjects without any are left out."""
    stored: dict[FactSubject, list[Item]] = defaultdict(list)
    for (property_id, kind), ids in group_by_kind(subjects).items():
        for row in await _look_up(connection, ids, _items_of(property_id, kind)):
            item = StoredItem._make(row)
            stored[item.subject()].append(item.item())
    return stored


async def _look_up(connection: AsyncConnection, ids: Sequence[str], lookup: Lookup) -> Sequence[Row[Any]]:
    """The rows of every id, each by the index: the planner's statistics of a young table mislead it."""
    if connection.dialect.name == "sqlite":
        listed = func.json_each(msgspec.json.encode(ids).decode()).table_valued("value", name="ids")
        return (await connection.execute(lookup(lambda column: column.in_(select(listed.c.value))))).all()
    each_id = func.unnest(literal(ids, ARRAY(Text))).table_valued("value", name="ids").render_derived()
    rows = lookup(lambda column: column == each_id.c.value).offset(0).lateral("each")
    return (await connection.execute(select(rows).select_from(each_id.join(rows, true())))).all()


def _facts_of(property_id: str, kind: str, column: ColumnElement[Any]) -> Lookup:
    def lookup(matches: Matches) -> Select[Any]:
        about = and_(facts.c.property == property_id, facts.c.kind == kind, matches(facts.c.thing))
        return select(column).where(about)

    return lookup


def _items_of(property_id: str, kind: str) -> Lookup:
    def lookup(matches: Matches) -> Select[Any]:
        about = and_(items.c.property == property_id, items.c.kind == kind, matches(items.c.thing))
        return select(*StoredItem.columns()).where(about).order_by(items.c.seq)

    return lookup


async def subjects_after(connection: AsyncConnection, last: FactSubject, limit: int) -> list[FactSubject]:
    """The next subjects in the log, in order."""
    position = tuple_(facts.c.property, facts.c.kind, facts.c.thing)
    query = select(*position.clauses).where(position > row_value(position, last)).distinct()
    rows = await connection.execute(query.order_by(*position.clauses).limit(limit))
    return [FactSubject(*row) for row in rows]


async def cases_after(connection: AsyncConnection, last: tuple[str, str], limit: int) -> list[CaseState]:
    """The next cases in order, locked until the end of the transaction."""
    position = tuple_(cases.c.property, cases.c.case_id)
    query = select(cases.c.body).where(position > row_value(position, last)).order_by(*position.clauses)
    return [_case.decode(body) for body in await connection.scalars(query.limit(limit).with_for_update())]


def group_by_kind(subjects: Iterable[FactSubject]) -> dict[tuple[str, str], list[str]]:
    """(property, kind) → ids."""
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for subject in sorted(subjects):
        groups[subject.property, subject.kind].append(subject.id)
    return groups


def row_value(columns: Tuple, values: tuple[str | int, ...]) -> Tuple:
    """A row of values that compares with a row of columns."""
    return tuple_(*(literal(v, column.type) for v, column in zip(values, columns.clauses, strict=True)))
