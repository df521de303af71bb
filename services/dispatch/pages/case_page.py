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
    deadlines: list[DeadlineLine]
    why: str
    next: str
    history: list[HistoryLine]
    linked: list[tuple[str, list[LinkedCase]]]


def case_page(
    localizer: Localizer,
    stored: StoredCase,
    history: Sequence[HistoryEntry],
    linked: Mapping[str, Iterable[StoredCase]],
    *,
    contacts: bool,
    mine: bool = False,
    folded: int = 0,
) -> CasePage:
    """The whole of a case, into which `folded` others are; who asked only where the reader needs it."""
    case, request = stored
    reason = waiting_reason(history, case.state)
    asked = request.requester if contacts else None
    names = {one.case.id: one.case.number for found in linked.values() for one in found}
    if asked and asked.id and asked.name:
        names[asked.id] = asked.name
    return CasePage(
        row=board_row(localizer, stored, reason, mine=mine, folded=folded),
        open=localizer.catalog.of(case).is_open(case.state),
        description=request.description or "",
        facts=case_facts(localizer, stored, contacts=contacts),
        requester=requester_facts(localizer, asked),
        phone=(asked.phone or "") if asked else "",
        deadlines=[_deadline_line(localizer, case, deadline) for deadline in case.deadlines],
        why=explain_wait(localizer, stored, reason),
        next=explain_next(localizer, case),
        history=[
            _history_line(localizer, stored, entry, names if contacts else None)
            for entry in reversed(history)
        ],
        linked=[
            (localizer.t(f"kin_{how}"), [_linked_case(localizer, one) for one in found])
            for how, found in linked.items()
            if found
        ],
    )


def _deadline_line(localizer: Localizer, case: Case, deadline: Deadline) -> DeadlineLine:
    running = _runs(localizer, case) and deadline.running
    paused = timedelta(seconds=deadline.paused_seconds)
    if deadline.paused_since is not None:
        paused += localizer.now - deadline.paused_since
    return DeadlineLine(
        name=localizer.deadline(case, deadline.name),
        due=localized_moment(localizer, case, deadline.due_at),
        warn=deadline.warn_at.isoformat(),
        counts=running,
        text=localizer.until(deadline.due_at) if running else _outcome_text(localizer, case, deadline),
        tone=deadline_tone(deadline, localizer.now)
        if running or deadline.met_at
        else "paused"
        if deadline.paused_since
        else "bad"
        if deadline.missed_at
        else "",
        paused=localizer.t("paused_in_all", length=localizer.duration(paused)) if paused else "",
    )


def _runs(localizer: Localizer, case: Case) -> bool:
    workflow = localizer.catalog.of(case)
    return workflow.is_open(case.state) and case.state != workflow.follow_up.state


def _outcome_text(localizer: Localizer, case: Case, deadline: Deadline) -> str:
    if deadline.met_at is not None:
        told = localized_moment(localizer, case, deadline.met_at).text
        return localizer.t("met_late" if deadline.missed_at else "met_at", at=told)
    if deadline.missed_at is not None:
        return localizer.t("never_met")
    return (
        localizer.t("paused")
        if deadline.paused_since and _runs(localizer, case)
        else localizer.t("clock_over")
    )


def _history_line(
    localizer: Localizer, stored: StoredCase, entry: HistoryEntry, names: Mapping[str, str] | None
) -> HistoryLine:
    """One step; what was told with it only with `names`: by id, linked cases and who asked."""
    case = stored.case
    workflow = localizer.catalog.of(case)
    late = entry.recorded_at - entry.at > _LATE
    told_by = entry.recorded_by not in (entry.actor, "system")
    return HistoryLine(
        seq=entry.seq,
        name=localizer.action(workflow, entry.action),
        to=localizer.state(workflow, entry.to_state) if entry.to_state != entry.from_state else "",
        at=localized_moment(localizer, case, entry.at),
        recorded=localized_moment(localizer, case, entry.recorded_at) if late else None,
        actor=_actor(localizer, stored, entry),
        recorded_by=localizer.person(case.property, entry.recorded_by) if told_by and entry.seq > 1 else "",
        told=[] if names is None else _entry_data(localizer, case, entry, names),
    )


def _actor(localizer: Localizer, stored: StoredCase, entry: HistoryEntry) -> str:
    """Who did it; of the first step also how it came to us, in place of the sender's own name."""
    who, way = localizer.person(stored.case.property, entry.actor), channel_name(localizer, stored)
    if entry.seq > 1 or not way:
        return who
    return f"{who} · {way}" if entry.actor == "resident" else way


def _entry_data(
    localizer: Localizer, case: Case, entry: HistoryEntry, names: Mapping[str, str]
) -> list[tuple[str, str]]:
    action = localizer.catalog.of(case).actions.get(entry.action)
    fields = {field.name: field for field in action.fields} if action else {}
    found = []
    for name, value in entry.data.items():
        field = fields.get(name)
        label = localizer.of(field) if field else localizer.named(f"told_{name}", name)
        shown = names.get(str(value)) or _value(localizer, case, field.type if field else "", value)
        found.append((label, localizer.named(f"{name}_{shown}", shown)))
    return found


def _value(localizer: Localizer, case: Case, kind: str, value: Any) -> str:
    if isinstance(value, bool):
        return localizer.t("yes" if value else "no")
    if kind == "person":
        return localizer.person(case.property, str(value))
    return localizer.choice(plain_text(value))


def _linked_case(localizer: Localizer, stored: StoredCase) -> LinkedCase:
    case, request = stored
    state = localizer.state(localizer.catalog.of(case), case.state)
    return LinkedCase(
        id=case.id, number=case.number, place=localized_place(localizer, request.location), state=state
    )
