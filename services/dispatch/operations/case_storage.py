"""Writes what was decided over a batch: one statement for cases, requests, steps and what is published.

A step is one row: line of the history, source of the stream and of the published event, memory of its key.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncConnection

from services.dispatch.domain.case import Case
from services.dispatch.domain.case_batch import CaseBatch, DecidedStep, TrackedCase
from services.dispatch.domain.commands import CaseRequest
from services.dispatch.domain.events import case_event, deadline_event
from services.dispatch.domain.timers import next_timer
from services.dispatch.models import case_requests, cases, steps
from services.dispatch.operations.recent_cases import RecentCase
from services.dispatch.queries.cases import StoredCase
from services.dispatch.queries.changes import CaseChange, StreamPosition
from shared.database.batch import BulkWrite
from shared.database.bulk import BulkInsert, BulkUpdate, Values
from shared.database.engine import Database
from shared.messages.cloudevents import encode
from shared.messaging.outbox import XID, Outbox, OutgoingEvent, next_position

_encoder = msgspec.json.Encoder()
_CHANGED = ("state", "is_open", "is_busy", "assignee", "parent", "due_at", "version", "body")
Row = dict[str, Any]


class StepKey(Struct, frozen=True):
    """Who asked for a step under which `Idempotency-Key`, and the digest of the request."""

    caller: str
    key: str
    digest: str


class WrittenBatch(Struct, frozen=True):
    """What was committed: the batch, its cases as they are remembered now, and its changes for the stream,
    and when the first of the cases is due."""

    batch: CaseBatch
    cases: list[RecentCase]
    changes: list[CaseChange]
    due_at: datetime | None


class CaseStorage:
    """Writes batches for one process; `notify` is told of each once it is committed."""

    def __init__(self, database: Database, outbox: Outbox, notify: Callable[[WrittenBatch], None]) -> None:
        self._database, self._outbox, self._notify = database, outbox, notify
        self._write = BulkWrite(
            {
                "unsent": outbox.insert_unsent,
                "new": BulkInsert(cases),
                "requests": BulkInsert(case_requests),
                "changed": BulkUpdate(cases, ("id",), _CHANGED, counter="revision"),
                "steps": BulkInsert(steps, computed={"xid": XID}),
                "outbox": outbox.insert_events,
            },
            returns="unsent",
            guarded="changed",
        )

    async def save(
        self,
        connection: AsyncConnection,
        batch: CaseBatch,
        loaded: Mapping[str, RecentCase],
        keys: Mapping[int, StepKey] = {},
    ) -> None:
        """Write the cases of the batch that are not as they were loaded, and its steps.

        `keys` are those of steps, by their number. Raises WriteConflict where a case was written meanwhile.
        """
        written = [tracked for tracked in batch.tracked.values() if tracked.is_changed]
        if not written:
            return
        step_rows = [self._step_row(step, keys.get(number)) for number, step in enumerate(batch.steps)]
        notices = [deadline_event(notice) for notice in batch.notices]
        outgoing = [_outgoing_event(step) for step in batch.steps]
        announced = [OutgoingEvent(event.type, encode(event)) for event in notices]
        new_rows = [_case_row(tracked) for tracked in written if tracked.loaded is None]
        old_rows = [_case_row(tracked) for tracked in written if tracked.loaded is not None]
        rows: dict[str, Sequence[Values]] = {
            "new": new_rows,
            "requests": [_request_row(tracked) for tracked in written if tracked.loaded is None],
            "changed": old_rows,
            "outbox": self._outbox.rows_of(announced),
            "steps": step_rows,
        }
        xid = await self._outbox.write(connection, self._write, rows, [*outgoing, *announced])
        changes = [
            _change(batch, step, StreamPosition(xid, row["position"]))
            for step, row in zip(batch.steps, step_rows, strict=True)
        ]
        recent = [_recent_case(batch, tracked, loaded) for tracked in written]
        due_at = min((row["due_at"] for row in (*new_rows, *old_rows) if row["due_at"]), default=None)
        committed = WrittenBatch(batch, recent, changes, due_at)
        self._database.after_commit(connection, partial(self._notify, committed))

    def _step_row(self, step: DecidedStep, key: StepKey | None) -> Row:
        case, entry = step.transition.after, step.transition.entry
        return {
            "position": next_position(),
            "case_id": case.id,
            "seq": entry.seq,
            "recorded_at": entry.recorded_at,
            "entry": _encoder.encode(entry),
            "body": _encoder.encode(case),
            "caller": key.caller if key else None,
            "key": key.key if key else None,
            "digest": key.digest if key else None,
        }


def _outgoing_event(step: DecidedStep) -> OutgoingEvent:
    case = step.transition.after
    is_open = case.state in step.workflow.open_states
    event = case_event(case, step.transition.entry, is_open=is_open, trace=step.trace)
    return OutgoingEvent(event.type, encode(event))


def _case_row(tracked: TrackedCase) -> Row:
    case, workflow = tracked.case, tracked.workflow
    return {
        "id": case.id,
        "property": case.property,
        "kind": case.kind,
        "state": case.state,
        "is_open": case.state in workflow.open_states,
        "is_busy": case.assignee is not None and workflow.states[case.state].busy,
        "assignee": case.assignee,
        "parent": case.parent,
        "due_at": next_timer(workflow, case),
        "version": case.version,
        "revision": tracked.revision,
        "body": _encoder.encode(case),
    }


def _request_row(tracked: TrackedCase) -> Row:
    case, request = tracked.case, tracked.request
    return {
        "id": case.id,
        "number": case.number,
        "property": case.property,
        "source": request.source,
        "reference": request.reference if case.rework_of is None else None,
        "rework_of": case.rework_of,
        "words": _search_words(case, request),
        "body": _encoder.encode(request),
    }


def _search_words(case: Case, request: CaseRequest) -> str:
    location = request.location
    parts = (case.number, request.summary, location and location.unit, location and location.place)
    return " ".join(part for part in parts if part).lower()


def _change(batch: CaseBatch, step: DecidedStep, position: StreamPosition) -> CaseChange:
    tracked = batch.tracked[step.transition.after.id]
    return CaseChange(position, step.transition.entry, StoredCase(tracked.case, tracked.request))


def _recent_case(batch: CaseBatch, tracked: TrackedCase, loaded: Mapping[str, RecentCase]) -> RecentCase:
    """A new case and one that was remembered with its history are remembered with it."""
    case_id = tracked.case.id
    before = loaded[case_id].history if case_id in loaded else () if tracked.loaded is None else None
    taken = [step.transition.entry for step in batch.steps if step.transition.after.id == case_id]
    history = None if before is None else (*before, *taken)
    revision = tracked.revision if tracked.loaded is None else tracked.revision + 1
    return RecentCase(StoredCase(tracked.case, tracked.request), revision, history)
