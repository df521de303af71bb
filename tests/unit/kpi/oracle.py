"""A slow recount of every rate from raw events and histories, by the words of the property's rules.

Shares nothing with the service: no items, no sums kept; every figure is counted anew as of an instant."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from shared.messages.cloudevents import Event

NO_TIME = timedelta(0)


@dataclass
class History:
    """The life of a case as it happened: what was done when, and what was promised."""

    case: str
    kind: str
    raised_at: datetime
    targets: dict[str, timedelta] = field(default_factory=dict)
    steps: list[tuple[datetime, str, Any]] = field(default_factory=list)
    rework_of: str | None = None


@dataclass
class World:
    """Everything that ever happened at one property."""

    zone: ZoneInfo
    facts: list[Event]
    histories: list[History]
    follow_ups: list[Event]


def recount(world: World, at: datetime, window: str) -> dict[str, tuple[Fraction, Fraction]]:
    """kpi → (numerator, denominator) of the window that ends at `at`."""
    start = _start(world.zone, at, window)
    told = [fact for fact in world.facts if fact.time <= at]
    counted: dict[str, tuple[Any, Any]] = {}
    for kpi, line in (
        ("customer_satisfaction", "customer_service"),
        ("security_satisfaction", "security"),
        ("repair_satisfaction", "maintenance"),
        ("cleaning_satisfaction", "cleaning"),
        ("greening_satisfaction", "greening"),
    ):
        ratings = [r for moment, of, r in _ratings(world, told, at) if of == line and start <= moment]
        counted[kpi] = (sum(1 for r in ratings if r in (4, 5)), len(ratings))
    units = _units(told)
    counted["valid_complaint"] = (_valid_complaints(world, start, at), units)
    for kpi, severity in (("major_incident", "major"), ("general_incident", "general")):
        counted[kpi] = (_incidents(told, severity, start, at), units)
    counted["fee_collection"] = _fees(told, start, at)
    counted["follow_up"] = _follow_ups(world, start, at, repairs_only=False)
    counted["repair_follow_up"] = _follow_ups(world, start, at, repairs_only=True)
    counted["repair_timeliness"] = _timeliness(world, start, at)
    counted["repair_rework"] = (_reworks(world, start, at), counted["repair_timeliness"][1])
    counted["repair_pass"] = _first_inspections(world, start, at)
    counted["equipment_intact"] = _equipment(told, start, at)
    for kpi, line in (("cleaning_pass", "cleaning"), ("greening_pass", "greening")):
        points = [f.data for f in _things(told, "inspection") if f.data.line == line and f.time >= start]
        counted[kpi] = (sum(p.passed for p in points), sum(p.checked for p in points))
    areas = [f.data for f in _things(told, "area")]
    counted["greening_survival"] = (sum(a.living for a in areas), sum(a.planted for a in areas))
    return {kpi: (Fraction(good), Fraction(all_)) for kpi, (good, all_) in counted.items()}


def _start(zone: ZoneInfo, at: datetime, window: str) -> datetime:
    day = at.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if window == "month":
        day = day.replace(day=1)
    elif window == "year":
        day = day.replace(month=1, day=1)
    else:
        day = day - timedelta(days=29)  # wall-clock arithmetic: the same midnight, 29 days ago
    return day.astimezone(UTC)


def _last(facts: Iterable[Event]) -> Event | None:
    best = None
    for fact in facts:
        if best is None or (fact.time, fact.source, fact.id) > (best.time, best.source, best.id):
            best = fact
    return best


def _things(told: Sequence[Event], name: str) -> list[Event]:
    """The latest version of each thing that is called `name` in its data."""
    ids = {getattr(f.data, name) for f in told if hasattr(f.data, name) and not hasattr(f.data, "payment")}
    latest = [_last(f for f in told if getattr(f.data, name, None) == thing
                    and not hasattr(f.data, "payment")) for thing in sorted(ids)]  # fmt: skip
    return [fact for fact in latest if fact is not None]


def _units(told: Sequence[Event]) -> int:
    figure = _last(f for f in told if hasattr(f.data, "occupied_units"))
    return 0 if figure is None else figure.data.occupied_units


def _ratings(world: World, told: Sequence[Event], at: datetime) -> list[tuple[datetime, str, int]]:
    found: list[tuple[datetime, str, int]] = []
    answers = [f for f in told if hasattr(f.data, "questionnaire")]
    for who in {(f.data.questionnaire, f.data.respondent) for f in answers}:
        latest = _last(f for f in answers if (f.data.questionnaire, f.data.respondent) == who)
        assert latest is not None
        found += [(latest.time, line, rating) for line, rating in latest.data.ratings.items()]
    done = [f.data for f in world.follow_ups if hasattr(f.data, "answered_at")]
    for followup in {d.followup for d in done}:
        spoken = [d for d in done if d.followup == followup and (d.answered_at or d.done_at) <= at]
        if spoken:
            last = max(spoken, key=lambda d: (d.answered_at or d.done_at, d.version))
            if last.answer is not None:
                found.append((last.answered_at or last.done_at, last.line, last.answer.rating))
    return found


def _valid_complaints(world: World, start: datetime, at: datetime) -> int:
    """Found valid by then and not overturned since."""
    count = 0
    for history in world.histories:
        if history.kind == "complaint" and start <= history.raised_at <= at:
            standing = False
            proposed = None
            for moment, step, value in history.steps:
                if moment > at:
                    break
                if step == "judge" and value:
                    standing = True
                elif step == "judge":
                    proposed = moment
                elif step == "countersign" and proposed is not None:
                    standing = False
            count += standing
    return count


def _incidents(told: Sequence[Event], severity: str, start: datetime, at: datetime) -> int:
    return sum(
        1
        for fact in _things(told, "incident")
        if fact.data.severity == severity and fact.data.responsible and start <= fact.data.occurred_at <= at
    )


def _fees(told: Sequence[Event], start: datetime, at: datetime) -> tuple[Fraction, Fraction]:
    reversed_ = {f.data.payment for f in told if hasattr(f.data, "payment") and not hasattr(f.data, "bill")}
    towards: dict[str, Decimal] = {}
    for payment in {f.data.payment for f in told if hasattr(f.data, "payment")} - reversed_:
        latest = _last(f for f in told if getattr(f.data, "payment", None) == payment)
        assert latest is not None
        towards[latest.data.bill] = towards.get(latest.data.bill, Decimal(0)) + Decimal(latest.data.amount)
    due = [f.data for f in _things(told, "bill") if start <= f.data.due_at <= at]
    paid = sum((min(towards.get(b.bill, Decimal(0)), Decimal(b.amount)) for b in due), Decimal(0))
    return Fraction(paid), Fraction(sum((Decimal(b.amount) for b in due), Decimal(0)))


def _follow_ups(world: World, start: datetime, at: datetime, *, repairs_only: bool) -> tuple[int, int]:
    done = due = 0
    for name in {f.data.followup for f in world.follow_ups}:
        told = [f.data for f in world.follow_ups if f.data.followup == name]
        one = told[0]
        if one.since <= at and start <= one.due_at <= at and (one.kind == "repair" or not repairs_only):
            due += 1
            done += any(getattr(d, "done_at", None) is not None and d.done_at <= at for d in told)
    return done, due


def _timeliness(world: World, start: datetime, at: datetime) -> tuple[int, int]:
    timely = all_ = 0
    for history in world.histories:
        if history.kind == "repair":
            decision = decision_as_of(history, at)
            if decision is not None and start <= decision[0] <= at:
                all_ += 1
                timely += decision[1]
    return timely, all_


def _reworks(world: World, start: datetime, at: datetime) -> int:
    """Repairs that were opened anew for an earlier one, by when they were raised."""
    return sum(
        1
        for history in world.histories
        if history.kind == "repair" and history.rework_of is not None and start <= history.raised_at <= at
    )


def decision_as_of(history: History, at: datetime) -> tuple[datetime, bool] | None:
    """Walk through what had happened by `at`, second by second as it were: who passed first?"""
    known = [step for step in history.steps if step[0] <= at]
    completed = next((moment for moment, step, _ in known if step == "complete"), None)
    ended = next((moment for moment, step, _ in known if step in ("cancel", "attach")), None)
    passed = [p for clock in history.targets for p in [_passed(history, known, clock, at)] if p is not None]
    first = min(passed, default=None)
    if completed is not None and (first is None or completed <= first):
        return completed, True
    if first is None or (ended is not None and ended <= first):
        return None
    return first, False


def _passed(
    history: History, known: Sequence[tuple[datetime, str, Any]], clock: str, at: datetime
) -> datetime | None:
    """When the clock ran out unmet, by what was known at `at`."""
    ends = {"respond": "accept", "arrive": "arrive", "complete": "complete"}[clock]
    left = history.targets[clock]
    running_since: datetime | None = history.raised_at
    for moment, step, _ in known:
        out = None if running_since is None else running_since + left
        if out is not None and moment > out:
            return out
        if step == ends:
            return None
        if step == "wait" and clock == "complete" and running_since is not None:
            left -= moment - running_since
            running_since = None
        elif step == "resume" and running_since is None:
            running_since = moment
    if running_since is None or running_since + left > at:
        return None
    return running_since + left


def _first_inspections(world: World, start: datetime, at: datetime) -> tuple[int, int]:
    passed = all_ = 0
    for history in world.histories:
        if history.kind == "repair":
            first = next(((m, v) for m, step, v in history.steps if step == "inspect" and m <= at), None)
            if first is not None and start <= first[0]:
                all_ += 1
                passed += bool(first[1])
    return passed, all_


def _equipment(told: Sequence[Event], start: datetime, at: datetime) -> tuple[Fraction, Fraction]:
    intact = all_ = NO_TIME
    for name in {f.data.equipment for f in told if hasattr(f.data, "equipment")}:
        registered = [
            f.time for f in told if getattr(f.data, "equipment", None) == name and hasattr(f.data, "system")
        ]
        states = [f for f in told if getattr(f.data, "equipment", None) == name and hasattr(f.data, "state")]
        states.sort(key=lambda f: (f.time, f.source, f.id))
        if not registered:
            continue
        moments = sorted({max(start, min(registered)), at, *(f.time for f in states if start < f.time)})
        for begin, end in pairwise(moments):
            before = [f for f in states if f.time <= begin]
            if begin < min(registered) or any(f.data.state == "retired" for f in before):
                continue
            all_ += end - begin
            if not before or before[-1].data.state == "intact":
                intact += end - begin
    return _seconds(intact), _seconds(all_)


def _seconds(span: timedelta) -> Fraction:
    return Fraction(span // timedelta(microseconds=1), 1_000_000)
