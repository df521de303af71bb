"""Deadlines with waits taken out: pure, judged by when things happened, never by when they were recorded.

A deadline is due a target of business time after its start. While its case waits it is paused; once due and
unmet it has been missed, and a later wait moves it no more. Met exactly when due is met.
"""

from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from shared.properties.calendar import Calendar
from shared.properties.service_levels import CalendarName, DeadlineTarget

MOMENT = timedelta(milliseconds=1)
"""How long after a due time its timer fires, so that it has passed then."""


class Deadline(Struct, frozen=True, kw_only=True, omit_defaults=True, rename={"name": "clock"}):
    """One deadline of one case. `due_at` holds the waits that have been: `paused_seconds` of wall time."""

    name: str
    due_at: datetime
    warn_at: datetime
    calendar: CalendarName = "round_the_clock"
    met_at: datetime | None = None
    missed_at: datetime | None = None
    warned_at: datetime | None = None
    paused_seconds: float = 0
    paused_since: datetime | None = None

    @property
    def running(self) -> bool:
        """Neither met nor paused."""
        return self.met_at is None and self.paused_since is None

    def passed(self, at: datetime) -> bool:
        """Whether at `at` the due time has gone by unmet."""
        return self.running and self.due_at < at


def start_deadline(
    name: str, at: datetime, target: DeadlineTarget, warn_after: float, calendar: Calendar
) -> Deadline | None:
    """A deadline from `at` on, to warn when `warn_after` (0 to 1) of its time is gone. None: no target."""
    if target.within is None:
        return None
    return Deadline(
        name=name,
        due_at=calendar.add(at, target.within),
        warn_at=calendar.add(at, target.within * warn_after),
        calendar=target.calendar,
    )


def pause_deadline(deadline: Deadline, at: datetime) -> Deadline:
    """Paused from `at` on; a deadline that was met or had passed before stays as it is."""
    if not deadline.running:
        return deadline
    if deadline.due_at < at:
        return replace(deadline, missed_at=deadline.due_at)
    return replace(deadline, paused_since=at, missed_at=None)


def resume_deadline(deadline: Deadline, at: datetime, calendar: Calendar) -> Deadline:
    """Running again from `at` on: what business time was left when it was paused is left now."""
    since = deadline.paused_since
    if since is None:
        return deadline
    warn_at = (
        calendar.add(at, calendar.between(since, deadline.warn_at))
        if deadline.warn_at > since
        else deadline.warn_at
    )
    return replace(
        deadline,
        due_at=calendar.add(at, calendar.between(since, deadline.due_at)),
        warn_at=warn_at,
        paused_seconds=deadline.paused_seconds + (at - since).total_seconds(),
        paused_since=None,
    )


def meet_deadline(deadline: Deadline, at: datetime, calendar: Calendar) -> Deadline:
    """What the deadline is for happened at `at`; only the first time counts."""
    if deadline.met_at is not None:
        return deadline
    resumed = resume_deadline(deadline, at, calendar)
    return replace(resumed, met_at=at, missed_at=resumed.due_at if resumed.due_at < at else None)


def stop_deadline(deadline: Deadline, at: datetime) -> Deadline:
    """The case ended at `at` without what the deadline is for: missed only if it was due before."""
    if not deadline.running:
        return deadline
    return replace(deadline, missed_at=deadline.due_at if deadline.due_at < at else None)


def deadline_at(deadline: Deadline, at: datetime) -> Deadline:
    """The deadline as of `at`: one that has passed is missed, even before its timer has fired."""
    return (
        replace(deadline, missed_at=deadline.due_at)
        if deadline.missed_at is None and deadline.passed(at)
        else deadline
    )


def is_warning_due(deadline: Deadline, at: datetime) -> bool:
    """Whether at `at` it is time to warn: not yet warned, not yet due."""
    return deadline.running and deadline.warned_at is None and deadline.warn_at <= at <= deadline.due_at


def next_check(deadline: Deadline) -> datetime | None:
    """When a timer has to fire next: to warn, then to record a miss. None: never."""
    if not deadline.running or deadline.missed_at is not None:
        return None
    return deadline.warn_at if deadline.warned_at is None else deadline.due_at + MOMENT
