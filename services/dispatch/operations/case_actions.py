"""Steps that people take over HTTP: concurrent ones share a commit, a repeated key gets its first result."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from msgspec import Struct
from sqlalchemy import delete
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.dispatch.domain.commands import PerformAction
from services.dispatch.domain.decider import CaseDecider
from services.dispatch.models import action_keys
from services.dispatch.operations.case_commands import (
    CommandHost,
    decide_and_save,
    load_decider,
)
from services.dispatch.queries.action_keys import get_earlier_replies
from services.dispatch.queries.cases import get_reworks
from services.dispatch.queries.histories import get_histories
from services.dispatch.schemas import describe_case
from shared.auth import Identity
from shared.batcher import Batcher
from shared.database.bulk import BulkInsert
from shared.database.engine import is_transient
from shared.http.idempotency import IdempotencyConflict

_encoder = msgspec.json.Encoder()
_TRIES = 3
_ROLLED_BACK = "40"
"""Deadlocks and serialization failures, as PostgreSQL numbers them."""
_INSERT_KEYS = BulkInsert(action_keys)
RequestName = tuple[str | int, str | None]


class SubmittedAction(Struct, frozen=True, kw_only=True):
    """A step that somebody asks for; `key` with `digest` (of the whole request) makes repeating harmless."""

    identity: Identity
    perform: PerformAction
    key: str | None = None
    digest: str = ""


class ActionResult(Struct, frozen=True):
    """The case after the step, as JSON, and its version."""

    body: bytes
    version: int


class CaseActions:
    """Takes steps in batches, each batch in one transaction."""

    def __init__(self, host: CommandHost) -> None:
        self._host = host
        self._batcher: Batcher[SubmittedAction, ActionResult] = Batcher(self._perform_batch)

    async def submit(self, action: SubmittedAction) -> ActionResult:
        """The result once it is committed. Raises the Problem that stands against the step."""
        return await self._batcher.submit(action)

    async def finish(self) -> None:
        """Wait for what was submitted."""
        await self._batcher.finish()

    async def _perform_batch(self, actions: Sequence[SubmittedAction]) -> Sequence[ActionResult | Exception]:
        try:
            results = await self._commit_with_retries(actions)
        except Exception as error:
            if len(actions) == 1 or is_transient(error):
                raise
            return [result for action in actions for result in await self._perform_alone(action)]
        return results

    async def _perform_alone(self, action: SubmittedAction) -> Sequence[ActionResult | Exception]:
        try:
            return await self._perform_batch([action])
        except Exception as error:
            return [error]

    async def _commit_with_retries(
        self, actions: Sequence[SubmittedAction]
    ) -> list[ActionResult | Exception]:
        """Try again where the database rolled back in favour of another transaction."""
        for _ in range(_TRIES):
            try:
                return await self._commit(actions)
            except DBAPIError as error:
                if not str(getattr(error.orig, "sqlstate", "")).startswith(_ROLLED_BACK):
                    raise
        return await self._commit(actions)

    async def _commit(self, actions: Sequence[SubmittedAction]) -> list[ActionResult | Exception]:
        now = self._host.clock.now()
        async with self._host.database.transaction() as connection:
            return await perform_actions(connection, self._host, actions, now)


class _KeyedResult(Struct, frozen=True):
    """A result, and the digest of the request that it is of."""

    digest: str
    result: ActionResult | Exception


async def perform_actions(
    connection: AsyncConnection, host: CommandHost, actions: Sequence[SubmittedAction], now: datetime
) -> list[ActionResult | Exception]:
    """Take every step once, within the caller's transaction; a result or the Problem for each."""
    decider = await load_decider(connection, host, [action.perform for action in actions], now)
    # Read once the cases are locked: whoever came first with a key has committed.
    results = await _get_earlier_results(connection, actions)
    pending = _pending_actions(actions, results)
    outcomes = await decide_and_save(connection, host, decider, [action.perform for action in pending])
    performed = [action for action, outcome in zip(pending, outcomes, strict=True) if outcome is None]
    rendered = await _render_results(connection, host, decider, performed, now)
    await _save_results(connection, performed, rendered, now)
    for action, outcome in zip(pending, outcomes, strict=True):
        name = _request_name(action)
        results[name] = _KeyedResult(action.digest, rendered[name] if outcome is None else outcome)
    return [_result_for(action, results[_request_name(action)]) for action in actions]


def _request_name(action: SubmittedAction) -> RequestName:
    """What tells this request from others: the caller's key, else the request itself."""
    return (action.identity.key, action.key) if action.key is not None else (id(action), None)


def _result_for(action: SubmittedAction, keyed: _KeyedResult) -> ActionResult | Exception:
    return keyed.result if keyed.digest == action.digest else IdempotencyConflict()


def _pending_actions(
    actions: Sequence[SubmittedAction], results: dict[RequestName, _KeyedResult]
) -> list[SubmittedAction]:
    """Those to be carried out: without a result so far, and the first of their key."""
    first: dict[RequestName, SubmittedAction] = {}
    for action in actions:
        first.setdefault(_request_name(action), action)
    return [action for name, action in first.items() if name not in results]


async def _get_earlier_results(
    connection: AsyncConnection, actions: Sequence[SubmittedAction]
) -> dict[RequestName, _KeyedResult]:
    names = {(action.identity.key, action.key) for action in actions if action.key is not None}
    replies = await get_earlier_replies(connection, names) if names else []
    return {
        (reply.caller, reply.key): _KeyedResult(reply.digest, ActionResult(reply.answer, reply.version))
        for reply in replies
    }


async def _render_results(
    connection: AsyncConnection,
    host: CommandHost,
    decider: CaseDecider,
    actions: Sequence[SubmittedAction],
    now: datetime,
) -> dict[RequestName, ActionResult]:
    tracked = {action.perform.case: decider.tracked[action.perform.case] for action in actions}
    histories = await get_histories(connection, tracked) if tracked else {}
    over = [id for id, of in tracked.items() if not host.catalog.workflow_of(of.case).is_open(of.case.state)]
    reworks = await get_reworks(connection, over) if over else {}
    results = {}
    for action in actions:
        case, request = tracked[action.perform.case].case, tracked[action.perform.case].request
        detail = describe_case(
            host.catalog, case, request, histories[case.id], reworks.get(case.id, []), action.identity, now
        )
        results[_request_name(action)] = ActionResult(_encoder.encode(detail), case.version)
    return results


async def _save_results(
    connection: AsyncConnection,
    actions: Sequence[SubmittedAction],
    results: dict[RequestName, ActionResult],
    now: datetime,
) -> None:
    rows = [
        {
            "caller": action.identity.key,
            "key": action.key,
            "digest": action.digest,
            "version": results[_request_name(action)].version,
            "answer": results[_request_name(action)].body,
            "recorded_at": now,
        }
        for action in actions
        if action.key is not None
    ]
    if rows:
        await _INSERT_KEYS.execute(connection, rows)


async def delete_old_keys(connection: AsyncConnection, before: datetime) -> None:
    """Forget the keys that were used before this instant; asking again after that is a new request."""
    await connection.execute(delete(action_keys).where(action_keys.c.recorded_at < before))
