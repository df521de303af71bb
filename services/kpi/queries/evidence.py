"""The very items behind a rate, page by page."""

from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct
from sqlalchemy import ColumnElement, Select, and_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from services.kpi.domain.items import to_micros
from services.kpi.domain.rate import Part, Rate, Side
from services.kpi.models import cases, items
from services.kpi.queries.fact_log import row_value
from services.kpi.queries.sums import contribution, instant_literal, is_inside


class _KindOfCase(Struct, frozen=True):
    kind: str


_case = msgspec.json.Decoder(_KindOfCase)


class EvidencePosition(NamedTuple):
    """Where a page of evidence ends."""

    counted_at: int
    kind: str
    subject: str
    seq: int


class EvidenceFilter(NamedTuple):
    """Which items: those of one side of a rate. The shortfall is what keeps a rate from its best: what did
    not reach it, or what counts against it."""

    property_id: str
    rate: Rate
    side: Side
    start: datetime
    now: datetime


class CountedItem(NamedTuple):
    """An item and what it contributed to both sides; number and body are those of its case."""

    counted_at: int
    kind: str
    subject: str
    seq: int
    case: str
    number: str | None
    body: bytes | None
    denominator: int
    numerator: int

    @property
    def position(self) -> EvidencePosition:
        """Where the item stands among all."""
        return EvidencePosition(self.counted_at, self.kind, self.subject, self.seq)

    @property
    def demand_kind(self) -> str | None:
        """Of what kind the demand is that the item belongs to; None where it belongs to none."""
        return None if self.body is None else _case.decode(self.body).kind


async def list_counted_items(
    connection: AsyncConnection, which: EvidenceFilter, after: EvidencePosition | None, limit: int
) -> list[CountedItem]:
    """The items that were counted, the latest first."""
    part, condition = _items_of_side(which.rate, which.side)
    start, now = instant_literal(to_micros(which.start)), instant_literal(to_micros(which.now))
    position = tuple_(items.c.counted_at, items.c.kind, items.c.thing, items.c.seq)
    case_of = and_(cases.c.property == items.c.property, cases.c.case_id == items.c.case_id)
    sides = contribution(part.how, start, now)
    query: Select[Any] = (
        select(*position.clauses, items.c.case_id, cases.c.number, cases.c.body, *sides)
        .outerjoin_from(items, cases, case_of)
        .where(items.c.property == which.property_id, is_inside(part.how, part.families, start, now))
        .where(condition)
        .order_by(*(column.desc() for column in position.clauses))
        .limit(limit)
    )
    if after is not None:
        query = query.where(position < row_value(position, after))
    return [CountedItem(*row) for row in await connection.execute(query)]


def _items_of_side(rate: Rate, side: Side) -> tuple[Part, ColumnElement[bool]]:
    """Which families a side is made of, and which of their items."""
    if side == "denominator":
        return rate.denominator, items.c.weight > 0
    if side == "numerator" or not rate.is_share:
        return rate.numerator, items.c.good > 0
    return rate.numerator, items.c.good < items.c.weight
