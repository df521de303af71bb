"""What survey reads: follow-ups with their attempts, links, earlier requests, counts for the gauges."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Select, func, select, tuple_
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from services.survey.domain.followup import Attempt, FollowUp, ResidentAnswer
from services.survey.models import attempts, followups, form_links
from shared.database.bulk import any_of
from shared.messages.facts import Line


class FollowUpFilter(Struct, frozen=True, kw_only=True):
    """Which follow-ups are looked for; `properties` None means those of every property."""

    properties: frozenset[str] | None
    case: str | None = None
    due_before: datetime | None = None
    state: str | None = None
    after: tuple[datetime, str] | None = None


class PlannedFollowUp(Struct, frozen=True):
    """What was told of a follow-up when it was planned."""

    line: Line
    due_at: datetime
    since: datetime


class EarlierRequest(Struct, frozen=True):
    """A request that was carried out: the attempt that it told, and a digest of what it said."""

    followup: str
    seq: int
    body_hash: str


async def get_followups(
    connection: AsyncConnection, ids: Iterable[str], *, lock: bool = False
) -> dict[str, FollowUp]:
    """The follow-ups of these ids; with `lock` nobody else changes them until the transaction ends."""
    query = (
        select(followups).where(any_of(connection, followups.c.id, sorted(set(ids)))).order_by(followups.c.id)
    )
    rows = (await connection.execute(query.with_for_update() if lock else query)).all()
    return {followup.id: followup for followup in await load_attempts(connection, rows)}


async def list_followups(connection: AsyncConnection, wanted: FollowUpFilter, limit: int) -> list[FollowUp]:
    """The first `limit` follow-ups, by due time."""
    query = select(followups).order_by(followups.c.due_at, followups.c.id).limit(limit)
    return await load_attempts(connection, (await connection.execute(apply_filter(query, wanted))).all())


def apply_filter(query: Select[Any], wanted: FollowUpFilter) -> Select[Any]:
    """`query` with the conditions of `wanted`."""
    table = followups.c
    if wanted.properties is not None:
        query = query.where(table.property.in_(sorted(wanted.properties)))
    if wanted.case is not None:
        query = query.where(table.case_id == wanted.case)
    if wanted.due_before is not None:
        query = query.where(table.due_at < wanted.due_before)
    if wanted.state is not None:
        query = query.where(table.state == wanted.state)
    if wanted.after is not None:
        at, after_id = wanted.after
        query = query.where((table.due_at > at) | ((table.due_at == at) & (table.id > after_id)))
    return query


async def planned_by_case(connection: AsyncConnection, cases: Iterable[str]) -> dict[str, PlannedFollowUp]:
    """What is planned already for these cases, by case."""
    table = followups.c
    columns = (table.case_id, table.line, table.due_at, table.since)
    rows = await connection.execute(
        select(*columns).where(any_of(connection, table.case_id, sorted(set(cases))))
    )
    return {row.case_id: PlannedFollowUp(row.line, row.due_at, row.since) for row in rows}


async def find_by_token(connection: AsyncConnection, token_hash: str) -> FollowUp | None:
    """The follow-up whose form this token opens."""
    query = select(form_links.c.followup_id).where(form_links.c.token_hash == token_hash)
    followup_id = (await connection.execute(query)).scalar()
    return (await get_followups(connection, [followup_id])).get(followup_id) if followup_id else None


async def earlier_requests(
    connection: AsyncConnection, requests: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], EarlierRequest]:
    """Requests that were carried out, by caller and idempotency key."""
    pairs = sorted(set(requests))
    if not pairs:
        return {}
    table = attempts.c
    query = select(table.caller, table.idempotency_key, table.followup_id, table.seq, table.body_hash)
    rows = await connection.execute(query.where(tuple_(table.caller, table.idempotency_key).in_(pairs)))
    return {
        (row.caller, row.idempotency_key): EarlierRequest(row.followup_id, row.seq, row.body_hash)
        for row in rows
    }


async def count_open_followups(connection: AsyncConnection, now: datetime) -> list[tuple[str, str, int, int]]:
    """By property and kind: how many follow-ups are not done, and how many of these should be."""
    table = followups.c
    overdue = func.count().filter(table.due_at <= now)
    query = select(table.property, table.kind, func.count(), overdue).where(table.state == "due")
    rows = await connection.execute(query.group_by(table.property, table.kind))
    return [(name, kind, count, late) for name, kind, count, late in rows]


async def load_attempts(connection: AsyncConnection, rows: Sequence[Row[Any]]) -> list[FollowUp]:
    """Follow-ups with their attempts, in the order of `rows`."""
    if not rows:
        return []
    tried: dict[str, list[Attempt]] = defaultdict(list)
    query = select(attempts).where(any_of(connection, attempts.c.followup_id, [row.id for row in rows]))
    for row in await connection.execute(query.order_by(attempts.c.followup_id, attempts.c.seq)):
        tried[row.followup_id].append(decode_attempt(row))
    return [decode_followup(row, tried[row.id]) for row in rows]


def decode_followup(row: Row[Any], tried: Sequence[Attempt]) -> FollowUp:
    """A follow-up from its row and attempts."""
    return FollowUp(
        id=row.id,
        case=row.case_id,
        number=row.number,
        property=row.property,
        kind=row.kind,
        line=row.line,
        due_at=row.due_at,
        since=row.since,
        workers=row.workers,
        language=row.language,
        form_expires_at=row.form_expires_at,
        attempts=tuple(tried),
    )


def decode_attempt(row: Row[Any]) -> Attempt:
    """An attempt from its row."""
    return Attempt(
        seq=row.seq,
        outcome=row.outcome,
        channel=row.channel,
        at=row.at,
        recorded_at=row.recorded_at,
        actor=row.actor,
        recorded_by=row.recorded_by,
        answer=None if row.answer is None else msgspec.convert(row.answer, ResidentAnswer),
        state=row.state,
        result=row.result,
        version=row.version,
    )
