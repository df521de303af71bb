"""Writes what was decided over a batch of cases: cases, history, timers; a statement each."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import delete, literal_column
from sqlalchemy.ext.asyncio import AsyncConnection

from services.dispatch.domain.case import Case
from services.dispatch.domain.case_batch import CaseBatch, DecidedStep, TrackedCase
from services.dispatch.domain.commands import CaseRequest
from services.dispatch.domain.timers import Timer, timers_for
from services.dispatch.models import case_history, cases, timers
from shared.database.bulk import BulkDelete, BulkInsert, BulkUpdate, any_of

_encoder = msgspec.json.Encoder()
_UPDATED_COLUMNS = ("state", "is_open", "is_busy", "assignee", "version", "parent", "body")
_INSERT_CASES = BulkInsert(cases)
_UPDATE_CASES = BulkUpdate(cases, ("id",), _UPDATED_COLUMNS)
_INSERT_STEPS = BulkInsert(
    case_history,
    omit=("position",),
    computed={"xid": literal_column("(pg_current_xact_id()::text)::bigint")},
)
_DELETE_TIMERS = BulkDelete(timers, ("case_id", "name"))
_UPSERT_TIMERS = BulkInsert(
    timers,
    lambda insert: insert.on_conflict_do_update(
        index_elements=[timers.c.case_id, timers.c.name], set_={"due_at": insert.excluded.due_at}
    ),
)


async def save_decisions(connection: AsyncConnection, batch: CaseBatch) -> None:
    """Write the cases of the batch that are not as they were loaded, their steps and their timers."""
    changed = [
        tracked for tracked in batch.tracked.values() if tracked.checked or tracked.case is not tracked.loaded
    ]
    new = [tracked for tracked in changed if tracked.loaded is None]
    old = [
        tracked for tracked in changed if tracked.loaded is not None and tracked.case is not tracked.loaded
    ]
    await _execute_bulk(connection, _INSERT_CASES, [_case_row(tracked) for tracked in new])
    await _execute_bulk(connection, _UPDATE_CASES, [_columns(tracked) for tracked in old])
    await _execute_bulk(connection, _INSERT_STEPS, [_history_row(step) for step in batch.steps])
    await _save_timers(connection, changed)


async def _execute_bulk(
    connection: AsyncConnection,
    statement: BulkInsert | BulkUpdate | BulkDelete,
    rows: Sequence[dict[str, Any]],
) -> None:
    if rows:
        await statement.execute(connection, rows)


async def _save_timers(connection: AsyncConnection, changed: Iterable[TrackedCase]) -> None:
    """Timers follow from the case: obsolete ones are deleted, those that it needs now are written."""
    checked, obsolete, needed = [], [], []
    for tracked in changed:
        after = timers_for(tracked.workflow, tracked.case)
        before = frozenset[Timer]()
        if tracked.checked:
            checked.append(tracked.case.id)
        elif tracked.loaded:
            before = timers_for(tracked.workflow, tracked.loaded)
        names = {timer.name for timer in after}
        obsolete += [{"case_id": tracked.case.id, "name": t.name} for t in before if t.name not in names]
        needed += [{"case_id": tracked.case.id, "name": t.name, "due_at": t.due_at} for t in after - before]
    if checked:
        await connection.execute(delete(timers).where(any_of(connection, timers.c.case_id, checked)))
    await _execute_bulk(connection, _DELETE_TIMERS, obsolete)
    await _execute_bulk(connection, _UPSERT_TIMERS, needed)


def _case_row(tracked: TrackedCase) -> dict[str, Any]:
    case, request = tracked.case, tracked.request
    return _columns(tracked) | {
        "number": case.number,
        "property": case.property,
        "kind": case.kind,
        "source": request.source,
        "reference": request.reference if case.rework_of is None else None,
        "rework_of": case.rework_of,
        "words": _search_words(case, request),
        "papers": _encoder.encode(request),
    }


def _columns(tracked: TrackedCase) -> dict[str, Any]:
    case, workflow = tracked.case, tracked.workflow
    return {
        "id": case.id,
        "state": case.state,
        "is_open": case.state in workflow.open_states,
        "is_busy": case.assignee is not None and workflow.states[case.state].busy,
        "assignee": case.assignee,
        "version": case.version,
        "parent": case.parent,
        "body": _encoder.encode(case),
    }


def _search_words(case: Case, request: CaseRequest) -> str:
    location = request.location
    parts = (case.number, request.summary, location and location.unit, location and location.place)
    return " ".join(part for part in parts if part).lower()


def _history_row(step: DecidedStep) -> dict[str, Any]:
    entry = step.transition.entry
    return {
        "xid": 0,
        "case_id": step.transition.after.id,
        "seq": entry.seq,
        "action": entry.action,
        "from_state": entry.from_state,
        "to_state": entry.to_state,
        "at": entry.at,
        "recorded_at": entry.recorded_at,
        "actor": entry.actor,
        "recorded_by": entry.recorded_by,
        "data": entry.data,
    }
