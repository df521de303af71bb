"""Reads of the change stream: the steps of all cases in the order of the transactions that wrote them."""

from typing import NamedTuple

from msgspec import convert
from sqlalchemy import ColumnElement, literal_column, select, true, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from services.dispatch.domain.case import HistoryEntry
from services.dispatch.models import case_history, cases
from services.dispatch.queries.cases import StoredCase, decode_case
from services.dispatch.queries.histories import ENTRY_COLUMNS

_XMIN: ColumnElement[int] = literal_column("(pg_snapshot_xmin(pg_current_snapshot())::text)::bigint")


class StreamPosition(NamedTuple):
    """Where a step stands in the stream: its transaction, and its number."""

    xid: int
    position: int


START = StreamPosition(0, 0)
"""Before every step."""


class CaseChange(NamedTuple):
    """A step of a case, and the case as it is now."""

    position: StreamPosition
    entry: HistoryEntry
    stored: StoredCase


class _ChangeRow(HistoryEntry, frozen=True, kw_only=True):
    xid: int
    position: int
    body: bytes
    papers: bytes


async def list_changes(connection: AsyncConnection, after: StreamPosition, limit: int) -> list[CaseChange]:
    """Steps after a position, in order; on PostgreSQL only those that no earlier one can still precede."""
    columns = (*ENTRY_COLUMNS, case_history.c.xid, case_history.c.position, cases.c.body, cases.c.papers)
    query = select(*columns).join(cases, cases.c.id == case_history.c.case_id).where(_is_after(after))
    if _on_postgres(connection):
        query = query.where(case_history.c.xid < _XMIN)
    query = query.order_by(case_history.c.xid, case_history.c.position).limit(limit)
    rows = await connection.execute(query)
    return [_change_of(convert(row, _ChangeRow, from_attributes=True)) for row in rows]


async def has_unsettled_changes(connection: AsyncConnection, after: StreamPosition) -> bool:
    """Whether steps were written after this position that can't be sent yet: on SQLite there are none."""
    if not _on_postgres(connection):
        return False
    return (await connection.execute(select(true()).where(_is_after(after)).limit(1))).first() is not None


async def latest_position(connection: AsyncConnection) -> StreamPosition:
    """The position of the latest step that can be sent."""
    query = select(case_history.c.xid, case_history.c.position)
    if _on_postgres(connection):
        query = query.where(case_history.c.xid < _XMIN)
    order = (case_history.c.xid.desc(), case_history.c.position.desc())
    row = (await connection.execute(query.order_by(*order).limit(1))).first()
    return START if row is None else StreamPosition(*row)


def _change_of(row: _ChangeRow) -> CaseChange:
    return CaseChange(StreamPosition(row.xid, row.position), row, decode_case(row.body, row.papers))


def _is_after(position: StreamPosition) -> ColumnElement[bool]:
    return tuple_(case_history.c.xid, case_history.c.position) > tuple_(*position)


def _on_postgres(connection: AsyncConnection) -> bool:
    return connection.dialect.name == "postgresql"
