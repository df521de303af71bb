"""Business time: how long something took, and when a promise falls due, in the hours that count.
Both calendars answer in exact elapsed time, also across changes to and from summer time."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import holidays

DAY = timedelta(days=1)
MINUTES_OF_DAY = 24 * 60
#: Nobody promises anything for longer than this; it also bounds the search through closed days.
MAX_SPAN = timedelta(days=366 * 20)

#: Opening hours of a day: pairs of minutes after local midnight, in order, 1440 being midnight again.
Hours = Sequence[tuple[int, int]]


class NeverOpen(ValueError):
    """The calendar has no open hour within twenty years."""


class Calendar(ABC):
    """Counts time: `add` and `between` are inverse, and neither ever goes backwards."""

    @abstractmethod
    def add(self, start: datetime, duration: timedelta) -> datetime:
        """The first instant (UTC) by which `duration` of counted time, not negative, has passed."""

    @abstractmethod
    def between(self, start: datetime, end: datetime) -> timedelta:
        """Counted time from `start` to `end`; negative when `end` comes first."""


class RoundTheClock(Calendar):
    """Every second counts."""

    def add(self, start: datetime, duration: timedelta) -> datetime:
        return (start + require_not_negative(duration)).astimezone(UTC)

    def between(self, start: datetime, end: datetime) -> timedelta:
        return end.astimezone(UTC) - start.astimezone(UTC)


class BusinessHours(Calendar):
    """The opening hours of a week in a time zone; a day may have other hours (`special`), or none."""

    def __init__(
        self, zone: ZoneInfo, week: Mapping[int, Hours], special: Callable[[date], Hours | None] | None = None
    ) -> None:
        """`week`: hours by weekday, Monday 0. `special`: hours of that very day, None where the week holds.

        Raises ValueError where hours overlap, end before they begin or leave the day, NeverOpen without any.
        """
        for hours in week.values():
            check_hours(hours)
        if not any(week.values()):
            raise NeverOpen("a calendar needs at least one open hour in the week")
        self._zone, self._week, self._special = zone, dict(week), special
        self._windows = lru_cache(maxsize=2048)(self._compute_windows)

    def hours(self, day: date) -> Hours:
        """The opening hours of this local day."""
        special = self._special(day) if self._special else None
        return self._week.get(day.weekday(), ()) if special is None else special

    def add(self, start: datetime, duration: timedelta) -> datetime:
        start, remaining = start.astimezone(UTC), require_not_negative(duration)
        if not remaining:
            return start
        for opens, closes in self._open_windows(start):
            begins = max(opens, start)
            if begins - start > MAX_SPAN:
                break
            if closes - begins >= remaining:
                return begins + remaining
            remaining -= max(closes - begins, timedelta())
        raise NeverOpen("no open hours within twenty years")

    def between(self, start: datetime, end: datetime) -> timedelta:
        if end < start:
            return -self.between(end, start)
        start, end, total = start.astimezone(UTC), end.astimezone(UTC), timedelta()
        for opens, closes in self._open_windows(start):
            if opens >= end:
                break
            total += max(min(closes, end) - max(opens, start), timedelta())
        return total

    def _open_windows(self, start: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Open windows in order, beginning with the local day of `start`."""
        day = start.astimezone(self._zone).date()
        while day < date.max - DAY:
            yield from self._windows(day)
            day += DAY

    def _compute_windows(self, day: date) -> tuple[tuple[datetime, datetime], ...]:
        """A missing hour of a day that changes to summer time is no open time: windows never overlap."""
        windows: list[tuple[datetime, datetime]] = []
        for first, last in self.hours(day):
            opens, closes = self._instant(day, first), self._instant(day, last)
            if windows:
                opens = max(opens, windows[-1][1])
            if closes > opens:
                windows.append((opens, closes))
        return tuple(windows)

    def _instant(self, day: date, minute: int) -> datetime:
        day, minute = (day + DAY, 0) if minute == MINUTES_OF_DAY else (day, minute)
        return datetime.combine(day, time(*divmod(minute, 60)), self._zone).astimezone(UTC)


class PublicHolidays:
    """Public holidays of a country, the weekend days worked to make up for them, and own days."""

    def __init__(
        self,
        country: str | None,
        week: Mapping[int, Hours],
        closed: Sequence[date] = (),
        worked: Sequence[date] = (),
    ) -> None:
        """`country`: ISO code, None for no public holidays. `closed` and `worked` go before its days.

        Raises ValueError for a country whose holidays are not known.
        """
        try:
            self._country = holidays.country_holidays(country) if country else None
        except NotImplementedError as error:
            raise ValueError("the holidays of this country are not known") from error
        self._closed, self._worked = frozenset(closed), frozenset(worked)
        self._usual = next((hours for _, hours in sorted(week.items()) if hours), ())
        self._week = week

    def __call__(self, day: date) -> Hours | None:
        """Hours of a special day: none on a holiday; a make-up workday has a usual working day's."""
        if day in self._worked:
            return self._week.get(day.weekday()) or self._usual
        if day in self._closed:
            return ()
        return self._national_hours(day)

    def _national_hours(self, day: date) -> Hours | None:
        if self._country is None:
            return None
        if day in self._country:
            return ()
        worked = day in getattr(self._country, "weekend_workdays", ())
        return (self._week.get(day.weekday()) or self._usual) if worked else None


def check_hours(hours: Hours) -> None:
    """Raises ValueError unless the hours are in order, apart, and within the day."""
    before = 0
    for first, last in hours:
        if not before <= first < last <= MINUTES_OF_DAY:
            raise ValueError("hours of a day must be in order, apart, and end after they begin")
        before = last


def require_not_negative(duration: timedelta) -> timedelta:
    """`duration`. Raises ValueError where it is negative."""
    if duration < timedelta():
        raise ValueError("a duration can't be negative")
    return duration
