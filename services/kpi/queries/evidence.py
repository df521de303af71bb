"""The very items behind a rate, page by page."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct
from sqlalchemy import ColumnElement, Row, and_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from services.kpi.domain.items import to_micros
from services.kpi.domain.rates import Part, Rate, Side
from services.kpi.models import cases, items
from services.kpi.queries.fact_log import row_value
from services.kpi.queries.sums import contribution, is_inside


class _KindOfCase(Struct, frozen=True):
    kind: str


_kind = msgspec.json.Decoder(_KindOfCase)


class EvidencePosition(NamedTuple):
    """Where a page of evidence ends."""

    counted_at: int
    kind: str
    thing: str
    seq: int


class EvidenceFilter(NamedTuple):
    """Which items are asked for. The shortfall is what keeps a rate from its best: what is not good, or what
    counts against it."""

    property_id: str
    rate: Rate
    side: Side
    start: datetime
    now: datetime


async def list_evidence_rows(
    connection: AsyncConnection, asked: EvidenceFilter, after: EvidencePosition | None, limit: int
) -> Sequence[Row[Any]]:
    """The items that were counted, the latest first; `came_to` and `good_of_it` are what each contributed."""
    part, wanted = _side(asked.rate, asked.side)
    start, now = to_micros(asked.start), to_micros(asked.now)
    weight, good = contribution(part.how, start, now)
    place = tuple_(items.c.counted_at, items.c.kind, items.c.thing, items.c.seq)
    case_of = and_(cases.c.property == items.c.property, cases.c.case_id == items.c.case_id)
    query = (
        select(items, weight.label("came_to"), good.label("good_of_it"), cases.c.number, cases.c.body)
        .outerjoin_from(items, cases, case_of)
        .where(is_inside(part.how, part.families, asked.property_id, start, now), wanted)
        .order_by(*(column.desc() for column in place.clauses))
        .limit(limit)
    )
    if after is not None:
        query = query.where(place < row_value(place, after))
    return (await connection.execute(query)).all()


def position_of(row: Row[Any]) -> EvidencePosition:
    """Where a row of evidence stands."""
    return EvidencePosition(row.counted_at, row.kind, row.thing, row.seq)


def demand_kind(row: Row[Any]) -> str | None:
    """Of what kind the demand is that a row of evidence belongs to; None where it belongs to none."""
    return None if row.body is None else _kind.decode(row.body).kind


def _side(rate: Rate, side: Side) -> tuple[Part, ColumnElement[bool]]:
    """Which families a side is made of, and which of their items."""
    if side == "denominator":
        return rate.denominator, items.c.weight > 0
    if side == "numerator" or rate.numerator != rate.denominator:
        return rate.numerator, items.c.good > 0
    return rate.numerator, items.c.good < items.c.weight
