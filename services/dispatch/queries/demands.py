"""Reads of what came before its demand (withdrawals), and of what residents are registered with."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from msgspec import Struct, convert
from sqlalchemy import ColumnElement, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from services.dispatch.models import case_requests, withdrawals

Reference = tuple[str, str, str]
"""A property, a source, and the source's own number of a demand."""
ResidentName = tuple[str, str]
"""A property, and the id of a resident there."""
_MATCH_LIMIT = 200


class Withdrawal(Struct, frozen=True, kw_only=True):
    """A demand that was taken back, named by our id or by the source's reference."""

    source: str
    event: str
    property: str
    demand: str | None
    reference: str | None
    at: datetime
    reason: str | None


class MatchedWithdrawal(Withdrawal, frozen=True, kw_only=True):
    """A withdrawal, and the case of its demand."""

    case_id: str


class ResidentProfile(Struct, frozen=True, kw_only=True):
    """What a resident is registered with that moves priority and contact."""

    property: str
    resident: str
    tier: str | None
    language: str | None


_WITHDRAWAL = tuple(withdrawals.c[name] for name in Withdrawal.__struct_fields__)


async def get_withdrawals(
    connection: AsyncConnection, ids: Iterable[str], references: Iterable[Reference]
) -> list[Withdrawal]:
    """The withdrawals of the demands that are named by `ids` or `references`."""
    is_named: ColumnElement[bool] = withdrawals.c.demand.in_(sorted(set(ids)))
    if names := sorted(set(references)):
        columns = tuple_(withdrawals.c.property, withdrawals.c.source, withdrawals.c.reference)
        is_named = or_(is_named, withdrawals.c.demand.is_(None) & columns.in_(names))
    rows = await connection.execute(select(*_WITHDRAWAL).where(is_named))
    return [convert(row, Withdrawal, from_attributes=True) for row in rows]


async def list_matched_withdrawals(connection: AsyncConnection) -> Sequence[MatchedWithdrawal]:
    """Withdrawals whose case exists by now."""
    table = case_requests.c
    by_id = (withdrawals.c.demand == table.id) & (withdrawals.c.property == table.property)
    by_reference = (
        withdrawals.c.demand.is_(None)
        & (withdrawals.c.property == case_requests.c.property)
        & (withdrawals.c.source == case_requests.c.source)
        & (withdrawals.c.reference == case_requests.c.reference)
    )
    query = select(*_WITHDRAWAL, case_requests.c.id.label("case_id")).where(or_(by_id, by_reference))
    rows = await connection.execute(query.limit(_MATCH_LIMIT))
    return [convert(row, MatchedWithdrawal, from_attributes=True) for row in rows]
