"""What is stored about subjects: their facts in the log, the cases, the items that follow from them."""

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Result,
    Row,
    Select,
    Text,
    Tuple,
    and_,
    bindparam,
    func,
    literal,
    select,
    true,
    tuple_,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from services.kpi.domain.items import FactSubject, Item
from services.kpi.domain.timelines import Fact
from services.kpi.models import cases, facts, items
from shared.messages.cloudevents import Event, decode
from shared.messages.events import CaseState

_case = msgspec.json.Decoder(CaseState)
_NAMES = ("property", "kind", "thing")
Columns = ReadOnlyColumnCollection[str, ColumnElement[str]]


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
        names = ("family", "counted_at", "since", "until", "weight", "good", "case_id")
        return [items.c[name] for name in (*_NAMES, *names)]

    def subject(self) -> FactSubject:
        """What the item is of."""
        return FactSubject(self.property, self.kind, self.id)

    def item(self) -> Item:
        """The item itself."""
        sides = (self.denominator, self.numerator)
        return Item(self.family, self.counted_at, self.since, self.until, *sides, self.case)


class SubjectLookup:
    """Rows of many subjects in one statement, those of each by the index: the planner's statistics of a young
    table mislead it. `of` says which rows, given the columns `property`, `kind` and `thing` of a subject."""

    def __init__(self, of: Callable[[Columns], Select[Any]]) -> None:
        each = func.json_each(bindparam("subjects", type_=Text)).table_valued("value", name="each")
        parts = (func.json_extract(each.c.value, f"$[{number}]") for number in range(3))
        named = (part.label(name) for name, part in zip(_NAMES, parts, strict=True))
        self._sqlite = of(select(*named).subquery("subject").c)
        arrays = (bindparam(name, type_=ARRAY(Text)) for name in _NAMES)
        subject = func.unnest(*arrays).table_valued(*_NAMES, name="subject").render_derived()
        rows = of(subject.c).correlate(subject).offset(0).lateral("rows")
        self._postgres = select(rows).select_from(subject.join(rows, true()))

    async def read(
        self, connection: AsyncConnection, subjects: Collection[FactSubject]
    ) -> Sequence[Row[Any]]:
        """The rows of `subjects`."""
        if not subjects:
            return ()
        listed = sorted(subjects)
        if connection.dialect.name == "sqlite":
            as_json = {"subjects": msgspec.json.encode(listed).decode()}
            rows: Result[Any] = await connection.execute(self._sqlite, as_json)
        else:
            arrays = dict(zip(_NAMES, map(list, zip(*listed, strict=True)), strict=True))
            rows = await connection.execute(self._postgres, arrays)
        return rows.all()


def _facts_of(*columns: ColumnElement[Any]) -> SubjectLookup:
    return SubjectLookup(
        lambda subject: select(*columns).where(
            facts.c.property == subject["property"],
            facts.c.kind == subject["kind"],
            facts.c.thing == subject["thing"],
        )
    )


def _items_of(subject: Columns) -> Select[Any]:
    about = and_(
        items.c.property == subject["property"],
        items.c.kind == subject["kind"],
        items.c.thing == subject["thing"],
    )
    return select(*StoredItem.columns()).where(about).order_by(items.c.seq)


def _payments_towards(bill: Columns) -> Select[Any]:
    towards = and_(facts.c.property == bill["property"], facts.c.bill == bill["thing"])
    return select(facts.c.property, facts.c.thing).where(towards)


_BILLS_OF_PAYMENTS = _facts_of(facts.c.property, facts.c.bill)
_BODIES = _facts_of(facts.c.body)
_PAYMENTS = SubjectLookup(_payments_towards)
_ITEMS = SubjectLookup(_items_of)


async def bills_paid_by(connection: AsyncConnection, payments: Collection[FactSubject]) -> set[FactSubject]:
    """The bills that any version of these payments is towards."""
    rows = await _BILLS_OF_PAYMENTS.read(connection, payments)
    return {FactSubject(row.property, "bill", row.bill) for row in rows if row.bill is not None}


async def facts_about(connection: AsyncConnection, subjects: Collection[FactSubject]) -> list[Event[Fact]]:
    """Every fact about these subjects; about bills also all facts of the payments towards them."""
    rows = await _PAYMENTS.read(connection, [s for s in subjects if s.kind == "bill"])
    payments = {FactSubject(row.property, "payment", row.thing) for row in rows}
    about = await _BODIES.read(connection, payments | set(subjects))
    return [decode(row.body) for row in about]


async def stored_items(
    connection: AsyncConnection, subjects: Collection[FactSubject]
) -> dict[FactSubject, list[Item]]:
    """The items that are stored of these subjects; subjects without any are left out."""
    stored: dict[FactSubject, list[Item]] = defaultdict(list)
    for row in await _ITEMS.read(connection, subjects):
        item = StoredItem._make(row)
        stored[item.subject()].append(item.item())
    return stored


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


def row_value(columns: Tuple, values: tuple[str | int, ...]) -> Tuple:
    """A row of values that compares with a row of columns."""
    return tuple_(*(literal(v, column.type) for v, column in zip(values, columns.clauses, strict=True)))
