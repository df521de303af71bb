"""What survey reads: follow-ups with their attempts, links, earlier requests, counts for the gauges."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct, structs
from sqlalchemy import Select, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from services.survey.domain.followup import Attempt, FollowUp, ResidentAnswer
from services.survey.models import attempts, followups, form_links
from shared.database.bulk import AnyRow, any_of
from shared.messages.facts import Line

_FOLLOWUP_COLUMNS = [
    (followups.c.case_id if name == "case" else followups.c[name]).label(name)
    for name in FollowUp.__struct_fields__
    if name != "attempts"
]
_ATTEMPT_COLUMNS = [attempts.c[name] for name in Attempt.__struct_fields__]


class FollowUpFilter(Struct, frozen=True, kw_only=True):
    """Conditions on follow-ups, None for none; `after` is due time and id of the one before."""

    properties: frozenset[str] | None
    case: str | None = None
    due_before: datetime | None = None
    state: str | None = None
    after: tuple[datetime, str] | None = None


class PlannedFollowUp(NamedTuple):
    """The plan of a follow-up as it was published."""

    case_id: str
    line: Line
    due_at: datetime
    since: datetime


class EarlierRequest(NamedTuple):
    """A request that was carried out: the attempt that it reported, and a digest of its contents."""

    caller: str
    idempotency_key: str
    followup_id: str
    seq: int
    body_hash: str


class OpenFollowUps(NamedTuple):
    """Of a property and a kind: how many follow-ups are not done, and how many of these are overdue."""

    property: str
    kind: str
    number: int
    overdue: int


async def get_followups(
    connection: AsyncConnection, ids: Iterable[str], *, lock: bool = False
) -> dict[str, FollowUp]:
    """The follow-ups of these ids; with `lock` nobody else changes them until the transaction ends."""
    query = (
        select(*_FOLLOWUP_COLUMNS)
        .where(any_of(connection, followups.c.id, sorted(set(ids))))
        .order_by(followups.c.id)
    )
    rows = (await connection.execute(query.with_for_update() if lock else query)).all()
    return {followup.id: followup for followup in await load_attempts(connection, rows)}


async def list_followups(connection: AsyncConnection, filters: FollowUpFilter, limit: int) -> list[FollowUp]:
    """The first `limit` follow-ups, by due time."""
    query = select(*_FOLLOWUP_COLUMNS).order_by(followups.c.due_at, followups.c.id).limit(limit)
    return await load_attempts(connection, (await connection.execute(apply_filter(query, filters))).all())


def apply_filter(query: Select[Any], filters: FollowUpFilter) -> Select[Any]:
    """`query` with the conditions of `filters`."""
    table = followups.c
    if filters.properties is not None:
        query = query.where(table.property.in_(sorted(filters.properties)))
    if filters.case is not None:
        query = query.where(table.case_id == filters.case)
    if filters.due_before is not None:
        query = query.where(table.due_at < filters.due_before)
    if filters.state is not None:
        query = query.where(table.state == filters.state)
    if filters.after is not None:
        at, after_id = filters.after
        query = query.where((table.due_at > at) | ((table.due_at == at) & (table.id > after_id)))
    return query


async def get_plans_by_case(connection: AsyncConnection, cases: Iterable[str]) -> dict[str, PlannedFollowUp]:
    """The plans that these cases have already, by case."""
    table = followups.c
    query = select(*(table[name] for name in PlannedFollowUp._fields))
    rows = await connection.execute(query.where(any_of(connection, table.case_id, sorted(set(cases)))))
    return {plan.case_id: plan for plan in (PlannedFollowUp(*row) for row in rows)}


async def get_followup_by_token(connection: AsyncConnection, token_hash: str) -> FollowUp | None:
    """The follow-up whose form this token opens."""
    query = select(form_links.c.followup_id).where(form_links.c.token_hash == token_hash)
    followup_id: str | None = (await connection.execute(query)).scalar()
    return (await get_followups(connection, [followup_id])).get(followup_id) if followup_id else None


async def get_earlier_requests(
    connection: AsyncConnection, requests: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], EarlierRequest]:
    """Requests that were carried out, by caller and idempotency key."""
    pairs = sorted(set(requests))
    if not pairs:
        return {}
    table = attempts.c
    query = select(*(table[name] for name in EarlierRequest._fields))
    rows = await connection.execute(query.where(tuple_(table.caller, table.idempotency_key).in_(pairs)))
    earlier = [EarlierRequest(*row) for row in rows]
    return {(request.caller, request.idempotency_key): request for request in earlier}


async def count_open_followups(connection: AsyncConnection, now: datetime) -> list[OpenFollowUps]:
    """How many follow-ups are not done, by property and kind."""
    table = followups.c
    overdue = func.count().filter(table.due_at <= now)
    query = select(table.property, table.kind, func.count(), overdue).where(table.state == "due")
    rows = await connection.execute(query.group_by(table.property, table.kind))
    return [OpenFollowUps(*row) for row in rows]


async def load_attempts(connection: AsyncConnection, rows: Sequence[AnyRow]) -> list[FollowUp]:
    """Follow-ups with their attempts, in the order of `rows`."""
    bare = [FollowUp(**row._mapping) for row in rows]
    if not bare:
        return []
    by_followup: dict[str, list[Attempt]] = defaultdict(list)
    query = select(attempts.c.followup_id, *_ATTEMPT_COLUMNS)
    query = query.where(any_of(connection, attempts.c.followup_id, [followup.id for followup in bare]))
    for row in await connection.execute(query.order_by(attempts.c.followup_id, attempts.c.seq)):
        by_followup[row.followup_id].append(decode_attempt(row))
    return [structs.replace(followup, attempts=tuple(by_followup[followup.id])) for followup in bare]


def decode_attempt(row: AnyRow) -> Attempt:
    """An attempt from its row."""
    fields = {name: row._mapping[name] for name in Attempt.__struct_fields__}
    if row.answer is not None:
        fields["answer"] = msgspec.convert(row.answer, ResidentAnswer)
    return Attempt(**fields)
