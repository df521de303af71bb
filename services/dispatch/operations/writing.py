"""Writes what a desk decided: cases under their version, history, timers; a statement each."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import bindparam, delete, insert, literal_column, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from services.dispatch.case import Case, timers_of
from services.dispatch.commands import Papers
from services.dispatch.desk import Desk, Held, Step, is_busy
from services.dispatch.models import case_history, cases, timers
from services.dispatch.rulebook import Rulebook

_encoder = msgspec.json.Encoder()
_CHANGING = ("state", "is_open", "is_busy", "assignee", "version", "parent", "body")
_UPDATE = (
    update(cases)
    .where(cases.c.id == bindparam("was_id"), cases.c.version == bindparam("was_version"))
    .values({name: bindparam(name) for name in _CHANGING})
)
_FORGET = delete(timers).where(timers.c.case_id == bindparam("case"), timers.c.name == bindparam("timer"))
_FORGET_ALL = delete(timers).where(timers.c.case_id == bindparam("case"))
_XID: Any = literal_column("(pg_current_xact_id()::text)::bigint")


async def write(connection: AsyncConnection, rules: Rulebook, desk: Desk) -> None:
    """Everything that is on the desk and not as it was loaded."""
    changed = [held for held in desk.held.values() if held.looked or held.case is not held.loaded]
    new = [held for held in changed if held.loaded is None]
    old = [held for held in changed if held.loaded is not None and held.case is not held.loaded]
    await _many(connection, insert(cases), [_row(rules, held) for held in new])
    await _many(connection, _UPDATE, [_change(rules, held) for held in old])
    await _history(connection, desk.steps)
    await _timers(connection, rules, changed)


async def _many(connection: AsyncConnection, statement: Any, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        await connection.execute(statement, rows)


async def _history(connection: AsyncConnection, steps: Iterable[Step]) -> None:
    xid: Any = _XID if connection.dialect.name == "postgresql" else 0
    rows = [_entry(step) for step in steps]
    await _many(connection, insert(case_history).values(xid=xid), rows)


async def _timers(connection: AsyncConnection, rules: Rulebook, changed: Iterable[Held]) -> None:
    """Timers follow from the case: what it needed before and does not now goes, what it needs now comes."""
    cleared, gone, come = [], [], []
    for held in changed:
        wanted = timers_of(rules.of(held.case), held.case)
        before = timers_of(rules.of(held.loaded), held.loaded) if held.loaded else frozenset()
        if held.looked:
            cleared.append({"case": held.case.id})
            before = frozenset()
        names = {timer.name for timer in wanted}
        gone += [{"case": held.case.id, "timer": t.name} for t in before if t.name not in names]
        come += [{"case_id": held.case.id, "name": t.name, "due_at": t.due_at} for t in wanted - before]
    await _many(connection, _FORGET_ALL, cleared)
    await _many(connection, _FORGET, gone)
    await _many(connection, _upsert(connection), come)


def _upsert(connection: AsyncConnection) -> Any:
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(timers)
    return statement.on_conflict_do_update(
        index_elements=[timers.c.case_id, timers.c.name], set_={"due_at": statement.excluded.due_at}
    )


def _row(rules: Rulebook, held: Held) -> dict[str, Any]:
    case, papers = held.case, held.papers
    return _columns(rules, case) | {
        "id": case.id,
        "number": case.number,
        "property": case.property,
        "kind": case.kind,
        "source": papers.source,
        "reference": papers.reference if case.rework_of is None else None,
        "rework_of": case.rework_of,
        "words": _words(case, papers),
        "papers": _encoder.encode(papers),
    }


def _change(rules: Rulebook, held: Held) -> dict[str, Any]:
    loaded = held.loaded or held.case
    return _columns(rules, held.case) | {"was_id": loaded.id, "was_version": loaded.version}


def _columns(rules: Rulebook, case: Case) -> dict[str, Any]:
    return {
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
