"""Writes what a desk decided: cases under their version, history, timers; a statement each."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import delete, literal_column
from sqlalchemy.ext.asyncio import AsyncConnection

from services.dispatch.domain.case import Case
from services.dispatch.domain.commands import CaseRequest
from services.dispatch.domain.decider import CaseDecider, DecidedStep, TrackedCase, is_busy
from services.dispatch.domain.timers import timers_for
from services.dispatch.domain.workflow_catalog import WorkflowCatalog
from services.dispatch.models import case_history, cases, timers
from shared.database.bulk import BulkDelete, BulkInsert, BulkUpdate, any_of

_encoder = msgspec.json.Encoder()
_CHANGING = ("state", "is_open", "is_busy", "assignee", "version", "parent", "body")
_NEW = BulkInsert(cases)
_CHANGED = BulkUpdate(cases, ("id",), _CHANGING)
_STEPS = BulkInsert(
    case_history,
    without=("position",),
    computed={"xid": literal_column("(pg_current_xact_id()::text)::bigint")},
)
_GONE = BulkDelete(timers, ("case_id", "name"))
_COME = BulkInsert(
    timers,
    lambda insert: insert.on_conflict_do_update(
        index_elements=[timers.c.case_id, timers.c.name], set_={"due_at": insert.excluded.due_at}
    ),
)


async def save_decisions(connection: AsyncConnection, catalog: WorkflowCatalog, decider: CaseDecider) -> None:
    """Everything that is on the desk and not as it was loaded."""
    changed = [
        tracked
        for tracked in decider.tracked.values()
        if tracked.looked or tracked.case is not tracked.loaded
    ]
    new = [tracked for tracked in changed if tracked.loaded is None]
    old = [
        tracked for tracked in changed if tracked.loaded is not None and tracked.case is not tracked.loaded
    ]
    await _execute_bulk(connection, _NEW, [_case_row(catalog, tracked) for tracked in new])
    await _execute_bulk(connection, _CHANGED, [_columns(catalog, tracked.case) for tracked in old])
    await _execute_bulk(connection, _STEPS, [_history_row(step) for step in decider.steps])
    await _save_timers(connection, catalog, changed)


async def _execute_bulk(
    connection: AsyncConnection, work: BulkInsert | BulkUpdate | BulkDelete, rows: Sequence[dict[str, Any]]
) -> None:
    if rows:
        await work.run(connection, rows)


async def _save_timers(
    connection: AsyncConnection, catalog: WorkflowCatalog, changed: Iterable[TrackedCase]
) -> None:
    """Timers follow from the case: what it needed before and does not now goes, what it needs now comes."""
    cleared, gone, come = [], [], []
    for tracked in changed:
        wanted = timers_for(catalog.of(tracked.case), tracked.case)
        before = timers_for(catalog.of(tracked.loaded), tracked.loaded) if tracked.loaded else frozenset()
        if tracked.looked:
            cleared.append(tracked.case.id)
            before = frozenset()
        names = {timer.name for timer in wanted}
        gone += [{"case_id": tracked.case.id, "name": t.name} for t in before if t.name not in names]
        come += [{"case_id": tracked.case.id, "name": t.name, "due_at": t.due_at} for t in wanted - before]
    if cleared:
        await connection.execute(delete(timers).where(any_of(connection, timers.c.case_id, cleared)))
    await _execute_bulk(connection, _GONE, gone)
    await _execute_bulk(connection, _COME, come)


def _case_row(catalog: WorkflowCatalog, tracked: TrackedCase) -> dict[str, Any]:
    case, request = tracked.case, tracked.request
    return _columns(catalog, case) | {
        "number": case.number,
        "property": case.property,
        "kind": case.kind,
        "source": request.source,
        "reference": request.reference if case.rework_of is None else None,
        "rework_of": case.rework_of,
        "words": _words(case, request),
        "papers": _encoder.encode(request),
    }


def _columns(catalog: WorkflowCatalog, case: Case) -> dict[str, Any]:
    return {
        "id": case.id,
        "state": case.state,
        "is_open": catalog.of(case).is_open(case.state),
        "is_busy": is_busy(catalog, case),
        "assignee": case.assignee,
        "version": case.version,
        "parent": case.parent,
        "body": _encoder.encode(case),
    }


def _words(case: Case, request: CaseRequest) -> str:
    place = request.location
    parts = (case.number, request.summary, place and place.unit, place and place.place)
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
