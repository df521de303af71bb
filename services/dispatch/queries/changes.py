"""Reads of the change stream: the steps of all cases in the order of the transactions that wrote them."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from sqlalchemy import ColumnElement, Select, literal_column, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from services.dispatch.domain.case import HistoryEntry
from services.dispatch.models import case_requests, cases, steps
from services.dispatch.queries.cases import StoredCase, decode_case
from services.dispatch.queries.histories import entry_decoder

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


async def list_positions(
    connection: AsyncConnection, after: StreamPosition, limit: int
) -> list[StreamPosition]:
    """Where steps stand after a position, in order: only those that no earlier one can still precede."""
    query: Select[int, int] = select(steps.c.xid, steps.c.position).where(*_is_settled(connection, after))
    query = query.order_by(steps.c.xid, steps.c.position).limit(limit)
    return [StreamPosition(*row) for row in await connection.execute(query)]


async def get_changes(
    connection: AsyncConnection, positions: Collection[StreamPosition]
) -> Sequence[CaseChange]:
    """The steps at these positions, in order."""
    return await _load(connection, tuple_(steps.c.xid, steps.c.position).in_(sorted(positions)))


async def list_changes(
    connection: AsyncConnection, after: StreamPosition, limit: int
) -> Sequence[CaseChange]:
    """Steps after a position, in order: only those that no earlier one can still precede."""
    return await _load(connection, *_is_settled(connection, after), limit=limit)


async def latest_position(connection: AsyncConnection) -> StreamPosition:
    """The position of the latest step that no earlier one can still precede."""
    query: Select[int, int] = select(steps.c.xid, steps.c.position).where(*_is_settled(connection, START))
    query = query.order_by(steps.c.xid.desc(), steps.c.position.desc()).limit(1)
    row = (await connection.execute(query)).first()
    return START if row is None else StreamPosition(*row)


async def _load(
    connection: AsyncConnection, *conditions: ColumnElement[bool], limit: int | None = None
) -> Sequence[CaseChange]:
    columns = (steps.c.xid, steps.c.position, steps.c.entry, cases.c.body, case_requests.c.body)
    query: Select[int, int, bytes, bytes, bytes] = (
        select(*columns)
        .join(cases, cases.c.id == steps.c.case_id)
        .join(case_requests, case_requests.c.id == cases.c.id)
        .where(*conditions)
        .order_by(steps.c.xid, steps.c.position)
        .limit(limit)
    )
    return [
        CaseChange(StreamPosition(xid, position), entry_decoder.decode(entry), decode_case(body, request))
        for xid, position, entry, body, request in await connection.execute(query)
    ]


def _is_settled(connection: AsyncConnection, after: StreamPosition) -> list[ColumnElement[bool]]:
    """After a position and, on PostgreSQL, written by a transaction that began before all that are open."""
    is_after = tuple_(steps.c.xid, steps.c.position) > tuple_(*after)
    return [is_after, steps.c.xid < _XMIN] if connection.dialect.name == "postgresql" else [is_after]
