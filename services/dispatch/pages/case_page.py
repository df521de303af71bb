"""The page of a case: its facts and deadlines, what it waits for, its history and its linked cases."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from msgspec import Struct

from services.dispatch.domain.case import Case, HistoryEntry
from services.dispatch.domain.deadlines import Deadline
from services.dispatch.domain.workflow.definition import Field
from services.dispatch.pages.board_rows import BoardRow, board_row, deadline_tone, waiting_reason
from services.dispatch.pages.case_facts import (
    case_facts,
    channel_name,
    localized_location,
    plain_text,
    requester_facts,
)
from services.dispatch.pages.localizer import Localizer, Tone
from services.dispatch.pages.wait_explanation import Moment, explain_next, explain_wait, localized_moment
from services.dispatch.queries.cases import Link, StoredCase

_LATE = timedelta(seconds=60)
"""What was recorded so long after it happened is shown with both times."""


class DeadlineLine(Struct, frozen=True, kw_only=True):
    """One deadline; `counts`: the page counts it down. `paused`: how long it has stood still in all."""

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
    to_state: str
    at: Moment
    recorded_at: Moment | None
    actor: str
    recorded_by: str
    data: list[tuple[str, str]]


class LinkedCase(Struct, frozen=True, kw_only=True):
    """A linked case."""

    id: str
    number: str
    location: str
    state: str


class CasePage(Struct, frozen=True, kw_only=True):
    """Everything that the page shows."""

    row: BoardRow
    open: bool
    description: str
    facts: list[tuple[str, str]]
    requester: list[tuple[str, str]]
    phone: str
    deadlines: list[DeadlineLine]
    waits_for: str
    next: str
    history: list[HistoryLine]
    linked: list[tuple[str, list[LinkedCase]]]


def case_page(
    localizer: Localizer,
    stored: StoredCase,
    history: Sequence[HistoryEntry],
    linked: Mapping[Link, Sequence[StoredCase]],
    *,
    contacts: bool,
    mine: bool = False,
    folded: int = 0,
) -> CasePage:
    """The page of a case, into which `folded` others are folded; the requester only with `contacts`."""
    case, request = stored
    reason = waiting_reason(history, case.state)
    requester = request.requester if contacts else None
    names = {other.case.id: other.case.number for cases in linked.values() for other in cases}
    if requester and requester.id and requester.name:
        names[requester.id] = requester.name
    return CasePage(
        row=board_row(localizer, stored, reason, mine=mine, folded=folded),
        open=localizer.catalog.workflow_of(case).is_open(case.state),
        description=request.description or "",
        facts=case_facts(localizer, stored, contacts=contacts),
        requester=requester_facts(localizer, requester),
        phone=(requester.phone or "") if requester else "",
        deadlines=[_deadline_line(localizer, case, deadline) for deadline in case.deadlines],
        waits_for=explain_wait(localizer, stored, reason),
        next=explain_next(localizer, case),
        history=[
            _history_line(localizer, stored, entry, names if contacts else None)
            for entry in reversed(history)
        ],
        linked=[
            (localizer.t(f"linked_{link}"), [_linked_case(localizer, other) for other in cases])
            for link, cases in linked.items()
            if cases
        ],
    )


def _deadline_line(localizer: Localizer, case: Case, deadline: Deadline) -> DeadlineLine:
    running = localizer.catalog.is_worked_on(case) and deadline.running
    paused = timedelta(seconds=deadline.paused_seconds)
    if deadline.paused_since is not None:
        paused += localizer.now - deadline.paused_since
    return DeadlineLine(
        name=localizer.deadline(case, deadline.name),
        due=localized_moment(localizer, case, deadline.due_at),
        warn=deadline.warn_at.isoformat(),
        counts=running,
        text=localizer.until(deadline.due_at) if running else _outcome_text(localizer, case, deadline),
        tone=_tone(localizer, deadline, running=running),
        paused=localizer.t("paused_in_all", length=localizer.duration(paused)) if paused else "",
    )


def _tone(localizer: Localizer, deadline: Deadline, *, running: bool) -> Tone:
    if running or deadline.met_at:
        return deadline_tone(deadline, localizer.now)
    if deadline.paused_since:
        return "paused"
    return "bad" if deadline.missed_at else ""


def _outcome_text(localizer: Localizer, case: Case, deadline: Deadline) -> str:
    if deadline.met_at is not None:
        met_at = localized_moment(localizer, case, deadline.met_at).text
        return localizer.t("met_late" if deadline.missed_at else "met_at", at=met_at)
    if deadline.missed_at is not None:
        return localizer.t("never_met")
    return (
        localizer.t("paused")
        if deadline.paused_since and localizer.catalog.is_worked_on(case)
        else localizer.t("clock_over")
    )


def _history_line(
    localizer: Localizer, stored: StoredCase, entry: HistoryEntry, names: Mapping[str, str] | None
) -> HistoryLine:
    """One step; its data only with `names`: those of linked cases and of the requester by id."""
    case = stored.case
    workflow = localizer.catalog.workflow_of(case)
    late = entry.recorded_at - entry.at > _LATE
    recorded_for_other = entry.recorded_by not in (entry.actor, "system")
    return HistoryLine(
        seq=entry.seq,
        name=localizer.action(workflow, entry.action),
        to_state=localizer.state(workflow, entry.to_state) if entry.to_state != entry.from_state else "",
        at=localized_moment(localizer, case, entry.at),
        recorded_at=localized_moment(localizer, case, entry.recorded_at) if late else None,
        actor=_actor(localizer, stored, entry),
        recorded_by=localizer.person(case.property, entry.recorded_by)
        if recorded_for_other and entry.seq > 1
        else "",
        data=[] if names is None else _entry_data(localizer, case, entry, names),
    )


def _actor(localizer: Localizer, stored: StoredCase, entry: HistoryEntry) -> str:
    """Who did it; of the first step also the channel, in place of the name of the system that sent it."""
    who, channel = localizer.person(stored.case.property, entry.actor), channel_name(localizer, stored)
    if entry.seq > 1 or not channel:
        return who
    return f"{who} · {channel}" if entry.actor == "resident" else channel


def _entry_data(
    localizer: Localizer, case: Case, entry: HistoryEntry, names: Mapping[str, str]
) -> list[tuple[str, str]]:
    action = localizer.catalog.workflow_of(case).actions.get(entry.action)
    fields = {field.name: field for field in action.fields} if action else {}
    labelled = []
    for name, value in entry.data.items():
        field = fields.get(name)
        label = localizer.of(field) if field else localizer.named(f"data_{name}", name)
        text = names.get(str(value)) or _localize_value(localizer, case, field, value)
        labelled.append((label, localizer.named(f"{name}_{text}", text)))
    return labelled


def _localize_value(localizer: Localizer, case: Case, field: Field | None, value: Any) -> str:
    if isinstance(value, bool):
        return localizer.t("yes" if value else "no")
    if field is not None and value in field.choices:
        return localizer.of(field.choices[value])
    if field is not None and field.type == "person":
        return localizer.person(case.property, str(value))
    return localizer.choice(plain_text(value))


def _linked_case(localizer: Localizer, stored: StoredCase) -> LinkedCase:
    case, request = stored
    state = localizer.state(localizer.catalog.workflow_of(case), case.state)
    return LinkedCase(
        id=case.id, number=case.number, location=localized_location(localizer, request.location), state=state
    )
