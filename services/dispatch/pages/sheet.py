"""A case whole, as its page shows it: what is known, deadlines, what it waits for, its past, its kin."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from msgspec import Struct

from services.dispatch.case import Case, HistoryEntry
from services.dispatch.clocks import Clock
from services.dispatch.pages.rows import RowShown, place_shown, row_shown, tone_of, waits_for
from services.dispatch.pages.waiting import Moment, fires_next, moment, why
from services.dispatch.pages.wording import Reader, Tone
from services.dispatch.queries import Stored
from shared.messages.facts import Requester

_LATE = timedelta(seconds=60)
"""Heard of so long after it happened is worth telling."""


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
        why=why(reader, stored, reason),
        next=fires_next(reader, case),
        history=[_step(reader, case, entry, contacts=contacts) for entry in reversed(history)],
        kin=[_kin(reader, one, how) for how, found in kin.items() for one in found],
    )


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
    ]
    details = (papers.details or {}) if contacts else {}
    return [(reader.t(f"fact_{name}"), value) for name, value in told if value] + [
        (name, _plain(value)) for name, value in details.items()
    ]


def _requester(reader: Reader, requester: Requester | None) -> list[tuple[str, str]]:
    if requester is None:
        return []
    told = {name: getattr(requester, name) for name in ("name", "language", "tier")}
    return [
        (reader.t(f"requester_{name}"), reader.named(f"{name}_{value}", value))
        for name, value in told.items()
        if value
    ]


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
