"""Reads of dispatch: cases for deciding, lists and pages, their histories, loads, timers and the stream."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct
from sqlalchemy import ColumnElement, Select, func, literal_column, or_, select, true, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from services.dispatch.domain.case import Case, HistoryEntry
from services.dispatch.domain.commands import CaseRequest
from services.dispatch.domain.workflow.definition import FOLDED
from services.dispatch.models import case_history, cases, timers
from shared.database.bulk import any_of

_case = msgspec.json.Decoder(Case)
_request = msgspec.json.Decoder(CaseRequest)


class StoredCase(NamedTuple):
    """A case as it is stored."""

    case: Case
    request: CaseRequest


class CaseFilter(Struct, frozen=True, kw_only=True):
    """Which cases are asked for; `properties` None means all. `before`: the id that the page goes on from.
    `folded`: those too that are folded into others."""

    properties: Sequence[str] | None = None
    kind: str | None = None
    state: str | None = None
    is_open: bool | None = None
    assignee: str | None = None
    words: str | None = None
    folded: bool = True
    ids: Sequence[str] | None = None
    before: str | None = None
    limit: int = 50


class CaseChange(NamedTuple):
    """A step as the stream tells it: its place, and what it was."""

    xid: int
    position: int
    case_id: str
    property: str
    entry: HistoryEntry
    stored: StoredCase


def decode_case(row: Any) -> StoredCase:
    """A row of `body` and `papers`."""
    return StoredCase(_case.decode(row.body), _request.decode(row.papers))


async def lock_cases(
    connection: AsyncConnection, ids: Iterable[str], *, skip_locked: bool = False
) -> list[StoredCase]:
    """The cases of `ids`, held until the transaction ends, in one order for all: nobody waits in a ring."""
    query = (
        select(cases.c.body, cases.c.papers)
        .where(any_of(connection, cases.c.id, sorted(set(ids))))
        .order_by(cases.c.id)
    )
    rows = await connection.execute(query.with_for_update(skip_locked=skip_locked))
    return [decode_case(row) for row in rows]


async def lock_children(connection: AsyncConnection, parents: Iterable[str]) -> list[StoredCase]:
    """The cases that are folded into `parents`, held."""
    query = select(cases.c.body, cases.c.papers).where(
        any_of(connection, cases.c.parent, sorted(parents)), cases.c.state == FOLDED
    )
    rows = await connection.execute(query.order_by(cases.c.id).with_for_update())
    return [decode_case(row) for row in rows]


async def get_cases(connection: AsyncConnection, ids: Iterable[str]) -> list[StoredCase]:
    """The cases of `ids` as they are now, not held."""
    query = select(cases.c.body, cases.c.papers).where(any_of(connection, cases.c.id, sorted(set(ids))))
    return [decode_case(row) for row in await connection.execute(query)]


async def get_case(connection: AsyncConnection, case_id: str) -> StoredCase | None:
    """The case of this id."""
    row = (
        await connection.execute(select(cases.c.body, cases.c.papers).where(cases.c.id == case_id))
    ).first()
    return None if row is None else decode_case(row)


async def open_jobs_by_person(
    connection: AsyncConnection, properties: Iterable[str]
) -> dict[str, Counter[str]]:
    """How many jobs occupy each person, by property."""
    query = (
        select(cases.c.property, cases.c.assignee, func.count())
        .where(cases.c.is_busy, any_of(connection, cases.c.property, sorted(set(properties))))
        .group_by(cases.c.property, cases.c.assignee)
    )
    found: dict[str, Counter[str]] = {}
    for prop, person, count in await connection.execute(query):
        found.setdefault(prop, Counter())[person] = count
    return found


async def list_cases(connection: AsyncConnection, wanted: CaseFilter) -> list[StoredCase]:
    """A page of cases, the latest first."""
    query = select(cases.c.body, cases.c.papers).where(*_conditions(wanted)).order_by(cases.c.id.desc())
    return [decode_case(row) for row in await connection.execute(query.limit(wanted.limit))]


def _conditions(wanted: CaseFilter) -> list[ColumnElement[bool]]:
    equal = {
        cases.c.kind: wanted.kind,
        cases.c.state: wanted.state,
        cases.c.assignee: wanted.assignee,
    }
    found: list[ColumnElement[bool]] = [
        column == value for column, value in equal.items() if value is not None
    ]
    if wanted.properties is not None:
        found.append(cases.c.property.in_(wanted.properties))
    if wanted.is_open is not None:
        found.append(cases.c.is_open if wanted.is_open else ~cases.c.is_open)
    if wanted.words:
        found.append(cases.c.words.contains(wanted.words.lower(), autoescape=True))
    if not wanted.folded:
        found.append(cases.c.state != FOLDED)
    if wanted.ids is not None:
        found.append(cases.c.id.in_(wanted.ids))
    if wanted.before is not None:
        found.append(cases.c.id < wanted.before)
    return found


async def get_histories(connection: AsyncConnection, ids: Iterable[str]) -> dict[str, list[HistoryEntry]]:
    """Every step of each of `ids`, in order."""
    columns = (case_history.c.case_id, *_ENTRY)
    query = select(*columns).where(any_of(connection, case_history.c.case_id, sorted(set(ids))))
    found: dict[str, list[HistoryEntry]] = {}
    for row in await connection.execute(query.order_by(case_history.c.case_id, case_history.c.seq)):
        found.setdefault(row.case_id, []).append(decode_entry(row))
    return found


_ENTRY = (
    case_history.c.seq,
    case_history.c.action,
    case_history.c.from_state,
    case_history.c.to_state,
    case_history.c.at,
    case_history.c.recorded_at,
    case_history.c.actor,
    case_history.c.recorded_by,
    case_history.c.data,
)


def decode_entry(row: Any) -> HistoryEntry:
    """A row of the history."""
    return HistoryEntry(
        seq=row.seq,
        action=row.action,
        from_state=row.from_state,
        to_state=row.to_state,
        at=row.at,
        recorded_at=row.recorded_at,
        actor=row.actor,
        recorded_by=row.recorded_by,
        data=row.data,
    )


async def get_reworks(connection: AsyncConnection, ids: Iterable[str]) -> dict[str, list[str]]:
    """The reworks of each of `ids`."""
    query = select(cases.c.rework_of, cases.c.id).where(
        any_of(connection, cases.c.rework_of, sorted(set(ids)))
    )
    found: dict[str, list[str]] = {}
    for old, new in await connection.execute(query):
        found.setdefault(old, []).append(new)
    return found


async def find_case_by_number(connection: AsyncConnection, prop: str, number: str) -> str | None:
    """The id of the case that people call by this number."""
    query = select(cases.c.id).where(cases.c.number == number, cases.c.property == prop).limit(1)
    found: str | None = (await connection.execute(query)).scalar()
    return found


async def linked_cases(connection: AsyncConnection, case: Case) -> dict[str, list[StoredCase]]:
    """The cases that `case` is linked with: `rework_of` and `parent`, its `reworks` and `children`."""
    near = [name for name in (case.rework_of, case.parent) if name]
    columns = (cases.c.id, cases.c.parent, cases.c.rework_of, cases.c.body, cases.c.papers)
    linked = or_(cases.c.id.in_(near), cases.c.parent == case.id, cases.c.rework_of == case.id)
    found: dict[str, list[StoredCase]] = {"rework_of": [], "parent": [], "reworks": [], "children": []}
    for row in await connection.execute(select(*columns).where(linked).order_by(cases.c.id).limit(200)):
        for how, is_it in (
            ("rework_of", row.id == case.rework_of),
            ("parent", row.id == case.parent),
            ("reworks", row.rework_of == case.id),
            ("children", row.parent == case.id),
        ):
            if is_it:
                found[how].append(decode_case(row))
    return found


async def count_folded(connection: AsyncConnection, ids: Iterable[str]) -> dict[str, int]:
    """How many cases are folded into each of `ids` that has any."""
    here = (any_of(connection, cases.c.parent, sorted(set(ids))), cases.c.state == FOLDED)
    query = select(cases.c.parent, func.count()).where(*here).group_by(cases.c.parent)
    return {row[0]: row[1] for row in await connection.execute(query)}


async def find_cases_by_reference(
    connection: AsyncConnection, names: Iterable[tuple[str, str, str]]
) -> dict[tuple[str, str, str], list[str]]:
    """Ids of cases by (property, source, the source's own number)."""
    columns = (cases.c.property, cases.c.source, cases.c.reference)
    query = select(*columns, cases.c.id).where(tuple_(*columns).in_(sorted(set(names))))
    found: dict[tuple[str, str, str], list[str]] = {}
    for prop, source, reference, id_ in await connection.execute(query):
        found.setdefault((prop, source, reference), []).append(id_)
    return found


async def due_cases(connection: AsyncConnection, now: datetime, limit: int) -> list[str]:
    """Cases that somebody has to look at by `now`, those due first."""
    query = select(timers.c.case_id).where(timers.c.due_at <= now)
    query = query.order_by(timers.c.due_at, timers.c.case_id).limit(limit)
    return list(dict.fromkeys((await connection.execute(query)).scalars()))


async def next_due_at(connection: AsyncConnection) -> datetime | None:
    """When the next timer is due."""
    query = select(timers.c.due_at).order_by(timers.c.due_at).limit(1)
    found: datetime | None = (await connection.execute(query)).scalar()
    return found


async def count_open_cases(connection: AsyncConnection) -> Sequence[Any]:
    """(property, kind, state, number) of the open cases."""
    columns = (cases.c.property, cases.c.kind, cases.c.state)
    query = select(*columns, func.count()).where(cases.c.is_open).group_by(*columns)
    return (await connection.execute(query)).all()


# The stream.

_XMIN: ColumnElement[int] = literal_column("(pg_snapshot_xmin(pg_current_snapshot())::text)::bigint")


async def list_changes(connection: AsyncConnection, after: tuple[int, int], limit: int) -> list[CaseChange]:
    """Steps after a place of the stream, in its order. On PostgreSQL: only what nothing precedes any more."""
    query = _select_changes().where(_after(after))
    if _on_postgres(connection):
        query = query.where(case_history.c.xid < _XMIN)
    query = query.order_by(case_history.c.xid, case_history.c.position).limit(limit)
    return [_decode_change(row) for row in await connection.execute(query)]


async def has_unsettled_changes(connection: AsyncConnection, after: tuple[int, int]) -> bool:
    """Whether steps were written after this place that can't be told yet: on SQLite there are none."""
    if not _on_postgres(connection):
        return False
    return (await connection.execute(select(true()).where(_after(after)).limit(1))).first() is not None


def _after(place: tuple[int, int]) -> ColumnElement[bool]:
    return tuple_(case_history.c.xid, case_history.c.position) > tuple_(*place)


async def latest_position(connection: AsyncConnection) -> tuple[int, int]:
    """The place that the stream has come to."""
    query = select(case_history.c.xid, case_history.c.position)
    if _on_postgres(connection):
        query = query.where(case_history.c.xid < _XMIN)
    order = (case_history.c.xid.desc(), case_history.c.position.desc())
    row = (await connection.execute(query.order_by(*order).limit(1))).first()
    return (0, 0) if row is None else (row.xid, row.position)


def _select_changes() -> Select[Any]:
    return select(
        case_history.c.xid, case_history.c.position, case_history.c.case_id, *_ENTRY,
        cases.c.property, cases.c.body, cases.c.papers,
    ).join(cases, cases.c.id == case_history.c.case_id)  # fmt: skip


def _decode_change(row: Any) -> CaseChange:
    return CaseChange(row.xid, row.position, row.case_id, row.property, decode_entry(row), decode_case(row))


def _on_postgres(connection: AsyncConnection) -> bool:
    return connection.dialect.name == "postgresql"
