"""Chance that is the same for the same names: what one draws never moves what another draws."""

from datetime import datetime, time, timedelta
from random import Random
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)


def random_stream(*words: object) -> Random:
    """The dice of whatever is named by `words`."""
    return Random("/".join(map(str, words)))


def minutes(random: Random, least: float, most: float) -> timedelta:
    """Whole minutes from `least` to `most`, one at least."""
    return MINUTE * max(1, round(random.uniform(least, most)))


def often(random: Random, expected: float) -> int:
    """How often something happens that happens `expected` times on average (Poisson, by its product form)."""
    count, left = 0, random.expovariate(1)
    while left < expected:
        count += 1
        left += random.expovariate(1)
    return count


def moment(random: Random, day: datetime, begin: time, end: time) -> datetime:
    """A whole minute of the local `day` from `begin` on, before `end`."""
    first, last = begin.hour * 60 + begin.minute, end.hour * 60 + end.minute
    return day.replace(hour=0, minute=0) + MINUTE * random.randrange(first, last)


def hourly(at: datetime) -> datetime:
    """The hour at or after `at`: some systems tell what happened once an hour."""
    floor = at.replace(minute=0, second=0, microsecond=0)
    return floor if floor == at else floor + timedelta(hours=1)


def civil(at: datetime, zone: ZoneInfo, random: Random) -> datetime:
    """`at`, or where people would be disturbed the next morning."""
    local = at.astimezone(zone)
    if time(9) <= local.time() < time(20, 30):
        return at
    day = local if local.time() < time(9) else local + timedelta(days=1)
    return day.replace(hour=9, minute=random.randrange(60), second=0, microsecond=0)
