"""Steps that people take over HTTP: concurrent ones share a commit, each key is answered once."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import msgspec
from msgspec import Struct
from sqlalchemy import select, tuple_
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.dispatch import queries
from services.dispatch.domain.commands import PerformAction
from services.dispatch.domain.decider import CaseDecider
from services.dispatch.models import action_keys
from services.dispatch.operations.case_commands import CommandHost, decide_and_save, load_decider
from services.dispatch.schemas import describe_case
from shared.auth import Identity
from shared.batcher import Batcher
from shared.clock import Clock
from shared.database.bulk import BulkInsert
from shared.database.engine import Database, is_transient
from shared.http.idempotency import IdempotencyConflict

_encoder = msgspec.json.Encoder()
_TRIES = 3
_ROLLED_BACK = "40"
"""Deadlocks and serialization failures, as PostgreSQL numbers them."""
RequestName = tuple[str | int, str | None]
_KEYS = BulkInsert(action_keys)


class SubmittedAction(Struct, frozen=True, kw_only=True):
    """A step that somebody asks for; `key` with `digest` (of all that was asked) makes repeating harmless."""

    identity: Identity
    perform: PerformAction
    key: str | None = None
    digest: str = ""


class ActionResult(Struct, frozen=True):
    """The case after the step, as JSON, and its version."""

    body: bytes
    version: int


class ActionHost(CommandHost, Protocol):
    """What acting needs of the service."""

    database: Database
    clock: Clock

    def committed(self) -> None:
        """Something was committed."""
        ...


class CaseActions:
    """Takes what is asked in sets."""

    def __init__(self, place: ActionHost) -> None:
        self._host = place
        self._batcher: Batcher[SubmittedAction, ActionResult] = Batcher(self._work)

    async def submit(self, asked: SubmittedAction) -> ActionResult:
        """The answer once it is committed. Raises the Problem that stands against it."""
        return await self._batcher.submit(asked)

    async def finish(self) -> None:
        """Wait for what is in hand."""
        await self._batcher.finish()

    async def _work(self, members: Sequence[SubmittedAction]) -> Sequence[ActionResult | Exception]:
        try:
            answers = await self._patiently(members)
        except Exception as error:
            if len(members) == 1 or is_transient(error):
                raise
            return [answer for member in members for answer in await self._alone(member)]
        self._host.committed()
        return answers

    async def _alone(self, member: SubmittedAction) -> Sequence[ActionResult | Exception]:
        try:
            return await self._work([member])
        except Exception as error:
            return [error]

    async def _patiently(self, members: Sequence[SubmittedAction]) -> list[ActionResult | Exception]:
        """Once more where the database chose another transaction as the winner: nothing was committed."""
        for _ in range(_TRIES):
            try:
                return await self._commit(members)
            except DBAPIError as error:
                if not str(getattr(error.orig, "sqlstate", "")).startswith(_ROLLED_BACK):
                    raise
        return await self._commit(members)

    async def _commit(self, members: Sequence[SubmittedAction]) -> list[ActionResult | Exception]:
        now = self._host.clock.now()
        async with self._host.database.transaction() as connection:
            return await perform_actions(connection, self._host, members, now)


async def perform_actions(
    connection: AsyncConnection, host: CommandHost, members: Sequence[SubmittedAction], now: datetime
) -> list[ActionResult | Exception]:
    """Take every step once, within the caller's transaction; an answer or the Problem for each."""
    decider = await load_decider(connection, host, [member.perform for member in members], now)
    results = await _get_earlier_results(
        connection, members
    )  # read while the cases are held: whoever was first has committed
    pending = _firsts(members, results)
    outcomes = await decide_and_save(connection, host, decider, [member.perform for member in pending])
    done = [member for member, outcome in zip(pending, outcomes, strict=True) if outcome is None]
    answers = await _render_results(connection, host, decider, done, now)
    await _save_results(connection, done, answers, now)
    for member, outcome in zip(pending, outcomes, strict=True):
        results[_request_name(member)] = (
            member.digest,
            outcome if outcome is not None else answers[_request_name(member)],
        )
    return [_result(member, results) for member in members]


def _request_name(member: SubmittedAction) -> RequestName:
    """What tells this request from others: the caller's key, else the request itself."""
    return (member.identity.key, member.key) if member.key is not None else (id(member), None)


def _result(
    member: SubmittedAction, results: dict[RequestName, tuple[str, ActionResult | Exception]]
) -> ActionResult | Exception:
    digest, result = results[_request_name(member)]
    return result if digest == member.digest else IdempotencyConflict()


def _firsts(
    members: Sequence[SubmittedAction], known: dict[RequestName, tuple[str, ActionResult | Exception]]
) -> list[SubmittedAction]:
    """Those to be carried out: not answered before, and the first of their key."""
    firsts: dict[RequestName, SubmittedAction] = {}
    for member in members:
        firsts.setdefault(_request_name(member), member)
    return [member for name, member in firsts.items() if name not in known]


async def _get_earlier_results(
    connection: AsyncConnection, members: Sequence[SubmittedAction]
) -> dict[RequestName, tuple[str, ActionResult | Exception]]:
    names = sorted({(m.identity.key, m.key) for m in members if m.key is not None})
    if not names:
        return {}
    query = select(action_keys).where(tuple_(action_keys.c.caller, action_keys.c.key).in_(names))
    rows = await connection.execute(query)
    return {(row.caller, row.key): (row.digest, ActionResult(row.answer, row.version)) for row in rows}


async def _render_results(
    connection: AsyncConnection,
    host: CommandHost,
    decider: CaseDecider,
    members: Sequence[SubmittedAction],
    now: datetime,
) -> dict[RequestName, ActionResult]:
    ids = {member.perform.case for member in members}
    histories = await queries.get_histories(connection, ids) if ids else {}
    over = [
        i for i in ids if not host.catalog.of(decider.tracked[i].case).is_open(decider.tracked[i].case.state)
    ]
    reworks = await queries.get_reworks(connection, over) if over else {}
    answers = {}
    for member in members:
        tracked = decider.tracked[member.perform.case]
        told = histories[tracked.case.id], reworks.get(tracked.case.id, [])
        view = describe_case(host.catalog, tracked.case, tracked.request, *told, member.identity, now)
        answers[_request_name(member)] = ActionResult(_encoder.encode(view), tracked.case.version)
    return answers


async def _save_results(
    connection: AsyncConnection,
    members: Sequence[SubmittedAction],
    answers: dict[RequestName, ActionResult],
    now: datetime,
) -> None:
    rows = [
        {
            "caller": member.identity.key,
            "key": member.key,
            "digest": member.digest,
            "version": answers[_request_name(member)].version,
            "answer": answers[_request_name(member)].body,
            "recorded_at": now,
        }
        for member in members
        if member.key is not None
    ]
    if rows:
        await _KEYS.run(connection, rows)
