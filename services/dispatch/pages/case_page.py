"""A case whole, as its page shows it: what is known, deadlines, what it waits for, its past, its kin."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from msgspec import Struct

from services.dispatch.domain.case import Case, HistoryEntry
from services.dispatch.domain.deadlines import Deadline
from services.dispatch.pages.board_rows import BoardRow, board_row, deadline_tone, waiting_reason
from services.dispatch.pages.case_facts import (
    case_facts,
    channel_name,
    localized_place,
    plain_text,
    requester_facts,
)
from services.dispatch.pages.localizer import Localizer, Tone
from services.dispatch.pages.wait_explanation import Moment, explain_next, explain_wait, localized_moment
from services.dispatch.queries import StoredCase

_LATE = timedelta(seconds=60)
"""Heard of so long after it happened is worth telling."""


class DeadlineLine(Struct, frozen=True, kw_only=True):
    """One deadline with how it stands."""

    name: str
    due: Moment
    warn: str
    counts: bool
    text: str
    tone: Tone
    paused: str


class HistoryLine(Struct, frozen=True, kw_only=True):
    """One entry of the history."""

    seq: int
    name: str
    to: str
    at: Moment
    recorded: Moment | None
    actor: str
    recorded_by: str
    told: list[tuple[str, str]]


class LinkedCase(Struct, frozen=True, kw_only=True):
    """A linked case."""

    id: str
    number: str
    place: str
    state: str


class CasePage(Struct, frozen=True, kw_only=True):
    """Everything the page tells."""

    row: BoardRow
    open: bool
    description: str
    facts: list[tuple[str, str]]
    requester: list[tuple[str, str]]
    phone: str
    clocks: list[DeadlineLine]
    why: str
    next: str
    history: list[HistoryLine]
    kin: list[tuple[str, list[LinkedCase]]]


def case_page(
    reader: Localizer,
    stored: StoredCase,
    history: Sequence[HistoryEntry],
    kin: Mapping[str, Iterable[StoredCase]],
    *,
    contacts: bool,
    mine: bool = False,
    folded: int = 0,
) -> CasePage:
    """The whole of a case, into which `folded` others are; who asked only where the reader needs it."""
    case, papers = stored
    reason = waiting_reason(history, case.state)
    asked = papers.requester if contacts else None
    names = {one.case.id: one.case.number for found in kin.values() for one in found}
    if asked and asked.id and asked.name:
        names[asked.id] = asked.name
    return CasePage(
        row=board_row(reader, stored, reason, mine=mine, folded=folded),
        open=reader.rules.of(case).is_open(case.state),
        description=papers.description or "",
        facts=case_facts(reader, stored, contacts=contacts),
        requester=requester_facts(reader, asked),
        phone=(asked.phone or "") if asked else "",
        clocks=[_deadline_line(reader, case, clock) for clock in case.clocks],
        why=explain_wait(reader, stored, reason),
        next=explain_next(reader, case),
        history=[
            _history_line(reader, stored, entry, names if contacts else None) for entry in reversed(history)
        ],
        kin=[
            (reader.t(f"kin_{how}"), [_linked_case(reader, one) for one in found])
            for how, found in kin.items()
            if found
        ],
    )


def _deadline_line(reader: Localizer, case: Case, clock: Deadline) -> DeadlineLine:
    running = _runs(reader, case) and clock.running
    paused = timedelta(seconds=clock.paused_seconds)
    if clock.paused_since is not None:
        paused += reader.now - clock.paused_since
    return DeadlineLine(
        name=reader.clock(case, clock.clock),
        due=localized_moment(reader, case, clock.due_at),
        warn=clock.warn_at.isoformat(),
        counts=running,
        text=reader.until(clock.due_at) if running else _outcome_text(reader, case, clock),
        tone=deadline_tone(clock, reader.now)
        if running or clock.met_at
        else "paused"
        if clock.paused_since
        else "bad"
        if clock.missed_at
        else "",
        paused=reader.t("paused_in_all", length=reader.duration(paused)) if paused else "",
    )


def _runs(reader: Localizer, case: Case) -> bool:
    workflow = reader.rules.of(case)
    return workflow.is_open(case.state) and case.state != workflow.follow_up.state


def _outcome_text(reader: Localizer, case: Case, clock: Deadline) -> str:
    if clock.met_at is not None:
        told = localized_moment(reader, case, clock.met_at).text
        return reader.t("met_late" if clock.missed_at else "met_at", at=told)
    if clock.missed_at is not None:
        return reader.t("never_met")
    return reader.t("paused") if clock.paused_since and _runs(reader, case) else reader.t("clock_over")


def _history_line(
    reader: Localizer, stored: StoredCase, entry: HistoryEntry, names: Mapping[str, str] | None
) -> HistoryLine:
    """One step; what was told with it only with `names`: by id, linked cases and who asked."""
    case = stored.case
    workflow = reader.rules.of(case)
    late = entry.recorded_at - entry.at > _LATE
    told_by = entry.recorded_by not in (entry.actor, "system")
    return HistoryLine(
        seq=entry.seq,
        name=reader.action(workflow, entry.action),
        to=reader.state(workflow, entry.to_state) if entry.to_state != entry.from_state else "",
        at=localized_moment(reader, case, entry.at),
        recorded=localized_moment(reader, case, entry.recorded_at) if late else None,
        actor=_actor(reader, stored, entry),
        recorded_by=reader.person(case.property, entry.recorded_by) if told_by and entry.seq > 1 else "",
        told=[] if names is None else _entry_data(reader, case, entry, names),
    )


def _actor(reader: Localizer, stored: StoredCase, entry: HistoryEntry) -> str:
    """Who did it; of the first step also how it came to us, in place of the sender's own name."""
    who, way = reader.person(stored.case.property, entry.actor), channel_name(reader, stored)
    if entry.seq > 1 or not way:
        return who
    return f"{who} · {way}" if entry.actor == "resident" else way


def _entry_data(
    reader: Localizer, case: Case, entry: HistoryEntry, names: Mapping[str, str]
) -> list[tuple[str, str]]:
    action = reader.rules.of(case).actions.get(entry.action)
    fields = {field.name: field for field in action.fields} if action else {}
    found = []
    for name, value in entry.data.items():
        field = fields.get(name)
        label = reader.of(field) if field else reader.named(f"told_{name}", name)
        shown = names.get(str(value)) or _value(reader, case, field.type if field else "", value)
        found.append((label, reader.named(f"{name}_{shown}", shown)))
    return found


def _value(reader: Localizer, case: Case, kind: str, value: Any) -> str:
    if isinstance(value, bool):
        return reader.t("yes" if value else "no")
    if kind == "person":
        return reader.person(case.property, str(value))
    return reader.choice(plain_text(value))


def _linked_case(reader: Localizer, stored: StoredCase) -> LinkedCase:
    case, papers = stored
    state = reader.state(reader.rules.of(case), case.state)
    return LinkedCase(
        id=case.id, number=case.number, place=localized_place(reader, papers.location), state=state
    )
