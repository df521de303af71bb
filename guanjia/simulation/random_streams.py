"""Chance that is the same for the same names: what one draws never moves what another draws."""

from datetime import datetime, time, timedelta
from random import Random
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)


def random_stream(*names: object) -> Random:
    """The stream of random numbers that belongs to `names`."""
    return Random("/".join(map(str, names)))


def draw_minutes(random: Random, at_least: float, at_most: float) -> timedelta:
    """Whole minutes from `at_least` to `at_most`, one at least."""
    return MINUTE * max(1, round(random.uniform(at_least, at_most)))


def draw_count(random: Random, expected: float) -> int:
    """How often something happens that happens `expected` times on average (Poisson, by its product form)."""
    count, waited = 0, random.expovariate(1)
    while waited < expected:
        count += 1
        waited += random.expovariate(1)
    return count


def draw_moment(random: Random, day: datetime, begin: time, end: time) -> datetime:
    """A whole minute of the local `day` from `begin` on, before `end`."""
    first, last = begin.hour * 60 + begin.minute, end.hour * 60 + end.minute
    return day.replace(hour=0, minute=0) + MINUTE * random.randrange(first, last)


def round_up_to_hour(at: datetime) -> datetime:
    """The hour at or after `at`: some systems tell what happened once an hour."""
    floor = at.replace(minute=0, second=0, microsecond=0)
    return floor if floor == at else floor + timedelta(hours=1)


def postpone_to_daytime(at: datetime, zone: ZoneInfo, random: Random) -> datetime:
    """`at`, or where people would be disturbed the next morning."""
    local = at.astimezone(zone)
    if time(9) <= local.time() < time(20, 30):
        return at
    day = local if local.time() < time(9) else local + timedelta(days=1)
    return day.replace(hour=9, minute=random.randrange(60), second=0, microsecond=0)
