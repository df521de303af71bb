"""Steps that people take over HTTP: concurrent ones share a write, a repeated key gets its first reply.

The reply to a key is not stored: it is made anew from the step, as of when it was taken.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncConnection

from services.dispatch.domain.case import HistoryEntry
from services.dispatch.domain.commands import PerformAction
from services.dispatch.operations.case_commands import (
    CommandHost,
    Decision,
    LoadedBatch,
    decide_commands,
    load_batch,
    needs_of,
)
from services.dispatch.operations.case_storage import StepKey
from services.dispatch.queries.batch_read import KeyName
from services.dispatch.queries.cases import StoredCase, get_cases, get_reworks
from services.dispatch.queries.histories import KeyedStep, get_histories, get_keyed_steps
from services.dispatch.schemas import describe_case
from shared.auth import Identity
from shared.batcher import Batcher
from shared.database.engine import is_transient
from shared.http.idempotency import IdempotencyConflict

_encoder = msgspec.json.Encoder()
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


class _KeyedResult(Struct, frozen=True):
    """A result, and the digest of the request that it is of."""

    digest: str
    result: ActionResult | Exception


class CaseActions:
    """Takes steps in batches, each batch in one write."""

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
        async def perform(connection: AsyncConnection, lock: bool) -> list[ActionResult | Exception]:
            return await perform_actions(connection, self._host, actions, self._host.clock.now(), lock=lock)

        try:
            return await self._host.database.run_batch(perform)
        except Exception as error:
            if len(actions) == 1 or is_transient(error):
                raise
            return [result for action in actions for result in await self._perform_alone(action)]

    async def _perform_alone(self, action: SubmittedAction) -> Sequence[ActionResult | Exception]:
        try:
            return await self._perform_batch([action])
        except Exception as error:
            return [error]


async def perform_actions(
    connection: AsyncConnection,
    host: CommandHost,
    actions: Sequence[SubmittedAction],
    now: datetime,
    *,
    lock: bool,
) -> list[ActionResult | Exception]:
    """Take every step once; a result or the Problem for each. Raises WriteConflict."""
    needs = needs_of([action.perform for action in actions])
    needs.histories = needs.reworks = True
    needs.keys = {(action.identity.key, action.key) for action in actions if action.key is not None}
    loaded = await load_batch(connection, host, needs, lock=lock)
    results = await _get_earlier_results(connection, host, actions, loaded.read.used_keys)
    pending = _pending_actions(actions, results)
    decision = await decide_commands(connection, host, loaded, [action.perform for action in pending], now)
    replies, keys = _make_replies(host, loaded, decision, pending, now)
    await host.case_storage.save(connection, decision.decider, loaded.cases, keys)
    return [_result_for(action, (results | replies)[_request_name(action)]) for action in actions]


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


def _make_replies(
    host: CommandHost,
    loaded: LoadedBatch,
    decision: Decision,
    actions: Sequence[SubmittedAction],
    now: datetime,
) -> tuple[dict[RequestName, _KeyedResult], dict[int, StepKey]]:
    """The result of each action, and which step, by its number, was the last one of which key."""
    results: dict[RequestName, _KeyedResult] = {}
    keys: dict[int, StepKey] = {}
    histories = {case_id: list(recent.history or ()) for case_id, recent in loaded.cases.items()}
    number = 0
    for action, outcome, steps in zip(actions, decision.outcomes, decision.steps, strict=True):
        for step in steps:
            histories.setdefault(step.transition.after.id, []).append(step.transition.entry)
        number += len(steps)
        if outcome is not None:
            results[_request_name(action)] = _KeyedResult(action.digest, outcome)
            continue
        case = next(
            s.transition.after for s in reversed(steps) if s.transition.after.id == action.perform.case
        )
        stored = StoredCase(case, decision.decider.tracked[case.id].request)
        reworks = loaded.read.reworks.get(case.id, [])
        reply = _describe(host, stored, histories[case.id], reworks, action.identity, now)
        results[_request_name(action)] = _KeyedResult(action.digest, reply)
        if action.key is not None:
            keys[number - 1] = StepKey(action.identity.key, action.key, action.digest)
    return results, keys


def _describe(
    host: CommandHost,
    stored: StoredCase,
    history: Sequence[HistoryEntry],
    reworks: list[str],
    identity: Identity,
    now: datetime,
) -> ActionResult:
    over = not host.catalog.workflow_of(stored.case).is_open(stored.case.state)
    detail = describe_case(host.catalog, *stored, history, reworks if over else [], identity, now)
    return ActionResult(_encoder.encode(detail), stored.case.version)


async def _get_earlier_results(
    connection: AsyncConnection,
    host: CommandHost,
    actions: Sequence[SubmittedAction],
    used: set[KeyName],
) -> dict[RequestName, _KeyedResult]:
    """The first replies to the keys that were used before, made anew."""
    if not used:
        return {}
    identities = {action.identity.key: action.identity for action in actions}
    steps = await get_keyed_steps(connection, sorted(used))
    ids = {step.case_id for step in steps}
    cases = {stored.case.id: stored for stored in await get_cases(connection, ids)}
    histories, reworks = await get_histories(connection, ids), await get_reworks(connection, ids)
    raised = await get_histories(connection, {one for found in reworks.values() for one in found})
    results: dict[RequestName, _KeyedResult] = {}
    for step in steps:
        until = step.entry.recorded_at
        earlier = [one for one in reworks.get(step.case_id, []) if raised[one][0].recorded_at <= until]
        stored, history = _as_of(step, cases[step.case_id], histories[step.case_id])
        reply = _describe(host, stored, history, earlier, identities[step.caller], until)
        results[step.caller, step.key] = _KeyedResult(step.digest, reply)
    return results


def _as_of(
    step: KeyedStep, stored: StoredCase, history: list[HistoryEntry]
) -> tuple[StoredCase, list[HistoryEntry]]:
    """The case after `step`; where that is not kept any more, as it is now."""
    if step.case is None:
        return stored, history
    return StoredCase(step.case, stored.request), history[: step.entry.seq]
