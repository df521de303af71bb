"""Deadlines: waits are taken out, lateness is judged by when things happened."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from services.dispatch.domain import deadlines
from services.dispatch.domain.deadlines import Deadline
from shared.properties.calendar import BusinessHours, Calendar, RoundTheClock
from shared.properties.service_levels import DeadlineTarget

ALWAYS = RoundTheClock()
OFFICE = BusinessHours(ZoneInfo("Asia/Shanghai"), dict.fromkeys(range(5), ((540, 1080),)))
START = datetime(2026, 11, 23, 1, tzinfo=UTC)
HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)


def started_deadline(calendar: Calendar = ALWAYS, within: timedelta = 2 * HOUR) -> Deadline:
    deadline = deadlines.start_deadline("complete", START, DeadlineTarget(within), 0.75, calendar)
    assert deadline is not None
    return deadline


def test_met_exactly_when_due_is_met_and_a_moment_later_is_missed() -> None:
    deadline = started_deadline()
    assert deadlines.meet_deadline(deadline, deadline.due_at, ALWAYS).missed_at is None
    late = deadlines.meet_deadline(deadline, deadline.due_at + SECOND, ALWAYS)
    assert late.missed_at == deadline.due_at


def test_a_target_that_is_off_starts_no_clock() -> None:
    assert deadlines.start_deadline("arrive", START, DeadlineTarget(None), 0.75, ALWAYS) is None


def test_a_wait_moves_the_due_time_by_its_length() -> None:
    waiting = deadlines.pause_deadline(started_deadline(), START + HOUR)
    assert not waiting.passed(START + 9 * HOUR)
    going = deadlines.resume_deadline(waiting, START + 4 * HOUR, ALWAYS)
    assert going.due_at == START + 5 * HOUR
    assert going.paused_seconds == 3 * 3600


def test_a_wait_after_the_miss_moves_nothing() -> None:
    deadline = started_deadline()
    waiting = deadlines.pause_deadline(deadline, deadline.due_at + SECOND)
    assert (waiting.due_at, waiting.missed_at, waiting.paused_since) == (
        deadline.due_at,
        deadline.due_at,
        None,
    )
    assert deadlines.resume_deadline(waiting, START + 9 * HOUR, ALWAYS) == waiting


def test_a_wait_over_night_takes_out_business_time_only() -> None:
    """Two business hours from Monday 9:00; waiting from 10:00 to 9:30 on Tuesday leaves one hour."""
    waiting = deadlines.pause_deadline(started_deadline(OFFICE), START + HOUR)
    going = deadlines.resume_deadline(waiting, START + timedelta(hours=24, minutes=30), OFFICE)
    assert going.due_at == START + timedelta(hours=25, minutes=30)


def test_a_late_report_of_a_timely_deed_takes_the_miss_back() -> None:
    missed = deadlines.deadline_at(started_deadline(), START + 3 * HOUR)
    assert missed.missed_at is not None
    assert deadlines.meet_deadline(missed, START + HOUR, ALWAYS).missed_at is None
    assert deadlines.pause_deadline(missed, START + HOUR).missed_at is None
    assert deadlines.stop_deadline(missed, START + HOUR).missed_at is None


def test_an_end_without_the_deed_is_a_miss_only_past_due() -> None:
    deadline = started_deadline()
    assert deadlines.stop_deadline(deadline, deadline.due_at).missed_at is None
    assert deadlines.stop_deadline(deadline, deadline.due_at + SECOND).missed_at == deadline.due_at


def test_it_warns_once_before_due_then_looks_for_the_miss() -> None:
    deadline = started_deadline()
    assert deadlines.next_check(deadline) == START + 1.5 * HOUR
    assert deadlines.is_warning_due(deadline, START + 1.5 * HOUR)
    assert not deadlines.is_warning_due(deadline, deadline.due_at + SECOND)
    assert deadlines.next_check(deadlines.pause_deadline(deadline, START)) is None


waits = st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 5000)), max_size=6)


@given(waits)
def test_due_is_start_and_target_and_every_wait_before_the_miss(lengths: list[tuple[int, int]]) -> None:
    deadline, at, waited = started_deadline(), START, 0
    for work, wait in lengths:
        at += timedelta(seconds=work)
        missed = at > deadline.due_at
        deadline = deadlines.pause_deadline(deadline, at)
        at += timedelta(seconds=wait)
        deadline = deadlines.resume_deadline(deadline, at, ALWAYS)
        waited += 0 if missed else wait
    assert deadline.due_at == START + 2 * HOUR + timedelta(seconds=waited)
    assert deadline.paused_seconds == waited


@given(waits, st.integers(0, 20_000))
def test_business_work_until_due_is_the_target_whatever_the_waits(
    lengths: list[tuple[int, int]], lead: int
) -> None:
    """What was worked before each wait, and after the last one until due, adds up to the target."""
    target = 20 * HOUR
    at = START + timedelta(seconds=lead)
    deadline = deadlines.start_deadline("complete", at, DeadlineTarget(target, "business"), 0.75, OFFICE)
    assert deadline is not None
    worked, since = timedelta(), at
    for work, wait in lengths:
        at += timedelta(seconds=work)
        if at > deadline.due_at:
            break
        worked += OFFICE.between(since, at)
        deadline = deadlines.pause_deadline(deadline, at)
        at += timedelta(seconds=wait)
        deadline, since = deadlines.resume_deadline(deadline, at, OFFICE), at
    assert worked + OFFICE.between(since, deadline.due_at) == target
