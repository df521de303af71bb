"""Writes what a desk decided: cases under their version, history, timers; a statement each."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import delete, literal_column
from sqlalchemy.ext.asyncio import AsyncConnection

from services.dispatch.case import Case, timers_of
from services.dispatch.commands import Papers
from services.dispatch.desk import Desk, Held, Step, is_busy
from services.dispatch.models import case_history, cases, timers
from services.dispatch.rulebook import Rulebook
from shared.rows import Insertion, Removal, Revision, among

_encoder = msgspec.json.Encoder()
_CHANGING = ("state", "is_open", "is_busy", "assignee", "version", "parent", "body")
_NEW = Insertion(cases)
_CHANGED = Revision(cases, ("id",), _CHANGING)
_STEPS = Insertion(
    case_history,
    without=("position",),
    computed={"xid": literal_column("(pg_current_xact_id()::text)::bigint")},
)
_GONE = Removal(timers, ("case_id", "name"))
_COME = Insertion(
    timers,
    lambda insert: insert.on_conflict_do_update(
        index_elements=[timers.c.case_id, timers.c.name], set_={"due_at": insert.excluded.due_at}
    ),
)


async def write(connection: AsyncConnection, rules: Rulebook, desk: Desk) -> None:
    """Everything that is on the desk and not as it was loaded."""
    changed = [held for held in desk.held.values() if held.looked or held.case is not held.loaded]
    new = [held for held in changed if held.loaded is None]
    old = [held for held in changed if held.loaded is not None and held.case is not held.loaded]
    await _many(connection, _NEW, [_row(rules, held) for held in new])
    await _many(connection, _CHANGED, [_columns(rules, held.case) for held in old])
    await _many(connection, _STEPS, [_entry(step) for step in desk.steps])
    await _timers(connection, rules, changed)


async def _many(
    connection: AsyncConnection, work: Insertion | Revision | Removal, rows: Sequence[dict[str, Any]]
) -> None:
    if rows:
        await work.run(connection, rows)


async def _timers(connection: AsyncConnection, rules: Rulebook, changed: Iterable[Held]) -> None:
    """Timers follow from the case: what it needed before and does not now goes, what it needs now comes."""
    cleared, gone, come = [], [], []
    for held in changed:
        wanted = timers_of(rules.of(held.case), held.case)
        before = timers_of(rules.of(held.loaded), held.loaded) if held.loaded else frozenset()
        if held.looked:
            cleared.append(held.case.id)
            before = frozenset()
        names = {timer.name for timer in wanted}
        gone += [{"case_id": held.case.id, "name": t.name} for t in before if t.name not in names]
        come += [{"case_id": held.case.id, "name": t.name, "due_at": t.due_at} for t in wanted - before]
    if cleared:
        await connection.execute(delete(timers).where(among(connection, timers.c.case_id, cleared)))
    await _many(connection, _GONE, gone)
    await _many(connection, _COME, come)


def _row(rules: Rulebook, held: Held) -> dict[str, Any]:
    case, papers = held.case, held.papers
    return _columns(rules, case) | {
        "number": case.number,
        "property": case.property,
        "kind": case.kind,
        "source": papers.source,
        "reference": papers.reference if case.rework_of is None else None,
        "rework_of": case.rework_of,
        "words": _words(case, papers),
        "papers": _encoder.encode(papers),
    }


def _columns(rules: Rulebook, case: Case) -> dict[str, Any]:
    return {
        "id": case.id,
        "state": case.state,
        "is_open": rules.of(case).is_open(case.state),
        "is_busy": is_busy(rules, case),
        "assignee": case.assignee,
        "version": case.version,
        "parent": case.parent,
        "body": _encoder.encode(case),
    }


def _words(case: Case, papers: Papers) -> str:
    place = papers.location
    parts = (case.number, papers.summary, place and place.unit, place and place.place)
    return " ".join(part for part in parts if part).lower()


def _entry(step: Step) -> dict[str, Any]:
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
