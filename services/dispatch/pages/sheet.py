"""A case whole, as its page shows it: what is known, deadlines, what it waits for, its past, its kin."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct

from services.dispatch.case import Case, HistoryEntry, timers_of
from services.dispatch.clocks import Clock
from services.dispatch.pages.rows import RowShown, place_shown, row_shown, tone_of, waits_for
from services.dispatch.pages.wording import Reader, Tone
from services.dispatch.queries import Stored
from services.dispatch.workflow.definition import FOLDED
from shared.messages.facts import Requester

_LATE = timedelta(seconds=60)
"""Heard of so long after it happened is worth telling."""


class Moment(Struct, frozen=True):
    """A moment: short, whole, and for programs."""

    text: str
    title: str
    iso: str


class ClockShown(Struct, frozen=True, kw_only=True):
    """One deadline with how it stands."""

    name: str
    due: Moment
    warn: str
    counts: bool
    text: str
    tone: Tone
    paused: str


class StepShown(Struct, frozen=True, kw_only=True):
    """One entry of the history."""

    seq: int
    name: str
    to: str
    at: Moment
    recorded: Moment | None
    actor: str
    recorded_by: str
    told: list[tuple[str, str]]


class Kin(Struct, frozen=True, kw_only=True):
    """A linked case."""

    id: str
    number: str
    how: str
    state: str


class Sheet(Struct, frozen=True, kw_only=True):
    """Everything the page tells."""

    row: RowShown
    open: bool
    description: str
    facts: list[tuple[str, str]]
    requester: list[tuple[str, str]]
    phone: str
    clocks: list[ClockShown]
    why: str
    next: str
    history: list[StepShown]
    kin: list[Kin]


def sheet(
    reader: Reader, stored: Stored, history: Sequence[HistoryEntry], kin: Mapping[str, Iterable[Stored]],
    *, contacts: bool, mine: bool = False,
) -> Sheet:  # fmt: skip
    """The whole of a case; who asked only where the reader needs it."""
    case, papers = stored
    reason = waits_for(history, case.state)
    requester = papers.requester if contacts else None
    return Sheet(
        row=row_shown(reader, stored, reason, mine=mine),
        open=reader.rules.of(case).is_open(case.state),
        description=papers.description or "",
        facts=_facts(reader, stored, contacts=contacts),
        requester=_requester(reader, requester),
        phone=(requester.phone or "") if requester else "",
        clocks=[_clock(reader, case, clock) for clock in case.clocks],
        why=_why(reader, case, reason),
        next=_next(reader, case),
        history=[_step(reader, case, entry, contacts=contacts) for entry in reversed(history)],
        kin=[_kin(reader, one, how) for how, found in kin.items() for one in found],
    )


def moment(reader: Reader, case: Case, at: datetime) -> Moment:
    """A moment at the case's property."""
    zone = reader.rules.property(case.property).timezone
    return Moment(reader.moment(at, zone), reader.whole_moment(at, zone), at.isoformat())


def _facts(reader: Reader, stored: Stored, *, contacts: bool) -> list[tuple[str, str]]:
    case, papers = stored
    wish = papers.preferred
    ends = [moment(reader, case, at).text for at in (wish.from_, wish.to) if at] if wish else []
    told = [
        ("property", reader.property(case.property)),
        ("place", place_shown(reader, papers.location)),
        ("subject", reader.subject(case.subject) if case.subject else ""),
        ("line", reader.t(f"line_{case.line}") if case.line else ""),
        ("perspective", reader.t(f"perspective_{case.perspective}") if case.perspective else ""),
        ("channel", reader.named(f"channel_{papers.channel}", papers.channel or "")),
        ("reference", papers.reference or ""),
        ("preferred", " – ".join(ends)),
        ("equipment", case.equipment or ""),
        ("outside", case.outside or ""),
    ]
    details = (papers.details or {}) if contacts else {}
    return [(reader.t(f"fact_{name}"), value) for name, value in told if value] + [
        (name, _plain(value)) for name, value in details.items()
    ]


def _requester(reader: Reader, requester: Requester | None) -> list[tuple[str, str]]:
    if requester is None:
        return []
    told = [("name", requester.name), ("language", requester.language), ("tier", requester.tier)]
    return [(reader.t(f"requester_{name}"), value) for name, value in told if value]


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{name}: {_plain(member)}" for name, member in value.items())
    return ", ".join(map(_plain, value)) if isinstance(value, list) else str(value)


def _clock(reader: Reader, case: Case, clock: Clock) -> ClockShown:
    running = _runs(reader, case) and clock.running
    paused = timedelta(seconds=clock.paused_seconds)
    if clock.paused_since is not None:
        paused += reader.now - clock.paused_since
    return ClockShown(
        name=reader.clock(case, clock.clock),
        due=moment(reader, case, clock.due_at),
        warn=clock.warn_at.isoformat(),
        counts=running,
        text=reader.until(clock.due_at) if running else _stood(reader, case, clock),
        tone=tone_of(clock, reader.now) if running or clock.met_at else "paused" if clock.paused_since else
        "bad" if clock.missed_at else "",
        paused=reader.t("paused_in_all", length=reader.duration(paused)) if paused else "",
    )  # fmt: skip


def _runs(reader: Reader, case: Case) -> bool:
    workflow = reader.rules.of(case)
    return workflow.is_open(case.state) and case.state != workflow.follow_up.state


def _stood(reader: Reader, case: Case, clock: Clock) -> str:
    if clock.met_at is not None:
        told = moment(reader, case, clock.met_at).text
        return reader.t("met_late" if clock.missed_at else "met_at", at=told)
    if clock.missed_at is not None:
        return reader.t("never_met")
    return reader.t("paused") if clock.paused_since and _runs(reader, case) else reader.t("clock_over")


def _why(reader: Reader, case: Case, reason: str | None) -> str:
    """What the case waits for."""
    workflow = reader.rules.of(case)
    if not workflow.is_open(case.state):
        return reader.t("why_over")
    if case.outside and case.state == workflow.initial:
        return reader.t("why_outside", to=case.outside)
    if case.state == FOLDED:
        return reader.t("why_folded")
    if case.state == workflow.follow_up.state and case.follow_up:
        return reader.t("why_follow_up", at=moment(reader, case, case.follow_up.due_at).text)
    if case.retry_at is not None and case.assignee is None:
        return reader.t("why_nobody")
    waits = reader.t("why_told", reason=reason) + " " if reason else ""
    return waits + _whose_turn(reader, case)


def _whose_turn(reader: Reader, case: Case) -> str:
    """Who can move the case on, and how."""
    workflow = reader.rules.of(case)
    names = dict.fromkeys(step.action for step in workflow.by_state[case.state])
    actions = [workflow.actions[name] for name in names if name not in workflow.everywhere]
    moves = [action for action in actions if action.roles]
    if not moves:
        return reader.t("why_system")
    if case.assignee and any("engineer" in action.roles for action in moves):
        who = reader.person(case.property, case.assignee)
        moves = [action for action in moves if "engineer" in action.roles]
    else:
        roles = dict.fromkeys(role for action in moves for role in sorted(action.roles))
        who = reader.t("or").join(reader.role(role) for role in roles)
    return reader.t("why_turn", who=who, actions=reader.t("comma").join(map(reader.of, moves)))


def _next(reader: Reader, case: Case) -> str:
    """What fires next if nobody does anything."""
    timers = timers_of(reader.rules.of(case), case)
    first = min(timers, key=lambda timer: timer.due_at, default=None)
    if first is None:
        return reader.t("fires_nothing")
    at = moment(reader, case, first.due_at).text
    if first.name == "lease":
        who = reader.person(case.property, case.assignee or "")
        return reader.t("fires_lease", at=at, who=who)
    if first.name == "assign":
        return reader.t("fires_assign", at=at)
    clock = next(clock for clock in case.clocks if first.name == f"clock:{clock.clock}")
    key = "fires_warning" if first.due_at == clock.warn_at else "fires_miss"
    return reader.t(key, at=at, clock=reader.clock(case, clock.clock))


def _step(reader: Reader, case: Case, entry: HistoryEntry, *, contacts: bool) -> StepShown:
    workflow = reader.rules.of(case)
    late = entry.recorded_at - entry.at > _LATE
    told_by = entry.recorded_by not in (entry.actor, "system")
    return StepShown(
        seq=entry.seq,
        name=reader.action(workflow, entry.action),
        to=reader.state(workflow, entry.to_state) if entry.to_state != entry.from_state else "",
        at=moment(reader, case, entry.at),
        recorded=moment(reader, case, entry.recorded_at) if late else None,
        actor=reader.person(case.property, entry.actor),
        recorded_by=reader.person(case.property, entry.recorded_by) if told_by else "",
        told=_told(reader, case, entry) if contacts else [],
    )


def _told(reader: Reader, case: Case, entry: HistoryEntry) -> list[tuple[str, str]]:
    action = reader.rules.of(case).actions.get(entry.action)
    fields = {field.name: field for field in action.fields} if action else {}
    found = []
    for name, value in entry.data.items():
        field = fields.get(name)
        label = reader.of(field) if field else reader.named(f"told_{name}", name)
        found.append((label, _value(reader, case, field.type if field else "", value)))
    return found


def _value(reader: Reader, case: Case, kind: str, value: Any) -> str:
    if isinstance(value, bool):
        return reader.t("yes" if value else "no")
    if kind == "person":
        return reader.person(case.property, str(value))
    if kind == "enum":
        return reader.choice(str(value))
    return _plain(value)


def _kin(reader: Reader, stored: Stored, how: str) -> Kin:
    case = stored.case
    state = reader.state(reader.rules.of(case), case.state)
    return Kin(id=case.id, number=case.number, how=reader.t(f"kin_{how}"), state=state)
