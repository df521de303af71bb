"""Business time: add and between are inverse, nothing goes backwards, holidays and make-up workdays count."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.properties.calendar import (
    BusinessHours,
    Calendar,
    Hours,
    NeverOpen,
    PublicHolidays,
    RoundTheClock,
)

SHANGHAI = ZoneInfo("Asia/Shanghai")
WEEK: dict[int, Hours] = {day: [(9 * 60, 18 * 60)] for day in range(5)}
CHINA = BusinessHours(SHANGHAI, WEEK, PublicHolidays("CN", WEEK))

ODD = "Australia/Lord_Howe"  # its summer time is half an hour
instants = st.integers(0, 11 * 366 * 86400 * 10).map(
    lambda tenths: datetime(2018, 1, 1, tzinfo=UTC) + timedelta(seconds=tenths / 10)
)
durations = st.timedeltas(timedelta(), timedelta(days=40))
spans = st.tuples(st.integers(0, 1439), st.integers(1, 1440)).filter(lambda span: span[0] < span[1])


@st.composite
def calendars(draw: st.DrawFn) -> Calendar:
    """Any calendar: any zone of a few with odd clock changes, any hours."""
    if draw(st.booleans()):
        return RoundTheClock()
    zone = draw(st.sampled_from(["Asia/Shanghai", "Europe/Berlin", "America/New_York", ODD]))
    week = draw(st.dictionaries(st.integers(0, 6), st.lists(spans, min_size=1, max_size=1), min_size=1))
    country = draw(st.sampled_from([None, "CN", "DE"]))
    return BusinessHours(ZoneInfo(zone), week, PublicHolidays(country, week))


def local_time(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)


@given(calendars(), instants, durations)
def test_between_undoes_add(calendar: Calendar, start: datetime, duration: timedelta) -> None:
    try:
        end = calendar.add(start, duration)
    except NeverOpen:
        return
    assert calendar.between(start, end) == duration
    assert calendar.between(end, start) == -duration


@given(calendars(), instants, durations, durations)
def test_more_time_is_never_due_earlier(
    calendar: Calendar, start: datetime, one: timedelta, other: timedelta
) -> None:
    try:
        assert (one <= other) or calendar.add(start, one) >= calendar.add(start, other)
        assert start <= calendar.add(start, one) <= calendar.add(start + other, one)
    except NeverOpen:
        return


@given(calendars(), instants, durations, durations)
def test_parts_sum_up_to_the_total(
    calendar: Calendar, start: datetime, one: timedelta, other: timedelta
) -> None:
    middle, end = start + one, start + one + other
    total = calendar.between(start, end)
    assert calendar.between(start, middle) + calendar.between(middle, end) == total
    assert timedelta() <= total <= end - start


def test_an_evening_is_no_business_time() -> None:
    friday = local_time("2026-11-20T17:30")
    assert CHINA.add(friday, timedelta(hours=1)) == local_time("2026-11-23T09:30")
    assert CHINA.between(friday, local_time("2026-11-23T09:30")) == timedelta(hours=1)


def test_a_promise_that_ends_with_the_day_is_due_at_closing_time() -> None:
    assert CHINA.add(local_time("2026-11-20T17:00"), timedelta(hours=1)) == local_time("2026-11-20T18:00")


def test_the_national_week_is_skipped_and_its_make_up_saturday_worked() -> None:
    assert CHINA.add(local_time("2026-09-30T17:00"), timedelta(hours=2)) == local_time("2026-10-08T10:00")
    assert CHINA.between(local_time("2026-10-10T00:00"), local_time("2026-10-11T00:00")) == timedelta(hours=9)


def test_own_days_come_before_the_countrys() -> None:
    own = PublicHolidays("CN", WEEK, closed=[date(2026, 10, 10)], worked=[date(2026, 10, 1)])
    calendar = BusinessHours(SHANGHAI, WEEK, own)
    assert calendar.hours(date(2026, 10, 10)) == ()
    assert calendar.hours(date(2026, 10, 1)) == WEEK[3]


def test_a_day_of_summer_time_has_an_hour_less() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    calendar = BusinessHours(berlin, {6: [(0, 1440)]})
    sunday = datetime(2026, 3, 29, tzinfo=berlin)
    assert calendar.between(sunday, datetime(2026, 3, 30, tzinfo=berlin)) == timedelta(hours=23)
    assert calendar.add(sunday, timedelta(hours=23)) == datetime(2026, 3, 30, tzinfo=berlin)


def test_hours_within_the_missing_hour_of_spring_are_no_time_twice() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    calendar = BusinessHours(berlin, {6: [(60, 150), (165, 300)]})
    day = datetime(2026, 3, 29, tzinfo=berlin)
    assert calendar.between(day, day + timedelta(days=1)) <= timedelta(hours=3, minutes=45)


@pytest.mark.parametrize("hours", [[(600, 540)], [(0, 600), (540, 700)], [(0, 1441)]])
def test_impossible_hours_are_refused(hours: Hours) -> None:
    with pytest.raises(ValueError, match="in order"):
        BusinessHours(SHANGHAI, {0: hours})


def test_a_calendar_without_hours_is_refused() -> None:
    with pytest.raises(NeverOpen):
        BusinessHours(SHANGHAI, {0: []})


def test_a_negative_duration_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        CHINA.add(local_time("2026-11-20T17:00"), timedelta(hours=-1))


def test_an_unknown_country_is_refused() -> None:
    with pytest.raises(ValueError, match="country"):
        PublicHolidays("XX", WEEK)
