"""How durations, times, days, floors and shares are written in a property file, and what they mean."""

import re
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from typing import Literal
from zoneinfo import ZoneInfo

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


class Duration(timedelta):
    """Written as "45s", "15m", "1h30m", "4d" or "2w"; a day is 24 hours."""


class Minute(int):
    """Minutes after local midnight, written "08:30"; "24:00" is midnight at the day's end."""


class Floors(tuple[tuple[int, int], ...]):
    """Ranges of floors, written "6-28" or "B2-B1, 6-28"; basements count downwards from -1, there is no 0."""

    __slots__ = ()

    def contains(self, floor: int) -> bool:
        """Whether the floor is in one of the ranges."""
        return any(low <= floor <= high for low, high in self)


def parse_duration(text: str) -> Duration:
    """Raises ValueError where `text` is no duration."""
    parts: list[tuple[str, str]] = re.findall(r"([0-9]{1,6})([smhdw])", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError('expected a duration such as "15m", "4h" or "2d"')
    return Duration(seconds=sum(int(number) * UNITS[unit] for number, unit in parts))


def parse_minute(text: str) -> Minute:
    """Raises ValueError where `text` is no time of day."""
    match = re.fullmatch(r"([01][0-9]|2[0-4]):([0-5][0-9])", text)
    minute = int(match[1]) * 60 + int(match[2]) if match else 1441
    if minute > 1440:
        raise ValueError('expected a time of day from "00:00" to "24:00"')
    return Minute(minute)


def floor_number(floor: int | str | None) -> int | None:
    """The number of a floor as people write it ("6", "6F", "6楼", "B1"), None where it says none."""
    if floor is None or isinstance(floor, int):
        return floor
    match = re.fullmatch(r"\s*([Bb]|-|地下)?\s*([0-9]{1,3})\s*(?:[Ff]|楼|层)?\s*", floor)
    return None if match is None else int(match[2]) * (-1 if match[1] else 1)


def parse_floors(text: str) -> Floors:
    """Raises ValueError where `text` holds something else than ranges of floors."""
    ranges = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(B?[0-9]{1,3})\s*(?:-\s*(B?[0-9]{1,3})\s*)?", part)
        ends = [floor_number(end) for end in (match[1], match[2] or match[1])] if match else []
        if len(ends) != 2 or ends[0] is None or ends[1] is None or ends[0] > ends[1]:
            raise ValueError('expected floors such as "6-28" or "B2-B1, 6-28"')
        ranges.append((ends[0], ends[1]))
    return Floors(ranges)


def parse_zone(text: str) -> ZoneInfo:
    """Raises ValueError where no time zone has this name."""
    try:
        return ZoneInfo(text)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError('expected the name of a time zone such as "Asia/Shanghai"') from error


def parse_share(value: str | int | float) -> Decimal:
    """A share of all, from 0 to 1, written as a number or as text. Raises ValueError for anything else."""
    try:
        parsed = Decimal(str(value))
    except InvalidOperation:
        parsed = Decimal(-1)
    if not 0 <= parsed <= 1:
        raise ValueError("a target is a number from 0 to 1")
    return parsed


PARSERS: dict[type, Callable[[str], object]] = {
    Duration: parse_duration,
    Minute: parse_minute,
    Floors: parse_floors,
    ZoneInfo: parse_zone,
}


def decode_value(kind: type, value: object) -> object:
    """The hook by which msgspec reads the types of this module."""
    parse = PARSERS.get(kind)
    if parse is None:
        raise NotImplementedError(kind)
    if not isinstance(value, str):
        raise ValueError("expected text in quotes")
    return parse(value)


def months_later(day: date, months: int) -> date:
    """The same day so many months later, or the last day of that month where it has no such day."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    for last in (day.day, 30, 29, 28):
        if last <= day.day:
            try:
                return date(year, month + 1, last)
            except ValueError:
                continue
    raise AssertionError("every month has 28 days")
