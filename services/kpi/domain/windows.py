"""Windows of time: from a local midnight of the property's zone until now; both ends belong to them."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Literal, get_args
from zoneinfo import ZoneInfo

Window = Literal["month", "year", "rolling_30d"]
WINDOWS: tuple[Window, ...] = get_args(Window)


def window_start(window: Window, now: datetime, zone: ZoneInfo) -> datetime:
    """Where `window` begins that ends at `now`: the month's or year's first midnight or that 29 days ago."""
    today = now.astimezone(zone).date()
    return local_midnight(_first_day(window, today), zone)


def window_starts(now: datetime, zone: ZoneInfo) -> Mapping[Window, datetime]:
    """The start of every window that ends at `now`."""
    return {window: window_start(window, now, zone) for window in WINDOWS}


def local_midnight(day: date, zone: ZoneInfo) -> datetime:
    """The instant at which `day` begins in `zone`; where clocks skip midnight, the moment when they do."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def _first_day(window: Window, today: date) -> date:
    if window == "month":
        return today.replace(day=1)
    if window == "year":
        return today.replace(month=1, day=1)
    return today - timedelta(days=29)
