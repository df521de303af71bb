"""Facts of the simulated tower: residents, fees, inspections, plants, incidents, purchases, answers."""

from collections.abc import Iterator
from datetime import datetime, time, timedelta
from random import Random
from typing import Any

from guanjia.simulation.plan import Post, Setting, post
from guanjia.simulation.random_streams import MINUTE, minutes, moment, often, random_stream
from guanjia.simulation.residents import Household

DAY = timedelta(days=1)
_AREAS = {"A1": 180, "A2": 96, "roof-garden": 240, "river-side": 320, "lobby": 42, "terrace": 75}
_ITEMS = (("fitness card", "480.00"), ("housekeeping, 10 hours", "600.00"), ("airport shuttle", "260.00"),
          ("flower delivery", "128.00"), ("club dinner", "388.50"))  # fmt: skip


def registrations(where: Setting) -> Iterator[Post]:
    """At the beginning: residents, equipment, occupied units."""
    at = where.start
    yield post(at, "office", f"occupied-{at:%Y%m%d}", "property.occupancy", occupied_units=len(where.homes))
    for item in where.prop.equipment:
        told: dict[str, Any] = {"equipment": item.id, "system": item.system, "critical": item.critical}
        yield post(at, "bms", f"registered-{item.id}", "equipment.registered", **told)
    for home in where.homes:
        yield post(at, "office", f"registered-{home.resident}", "resident.registered", **_registered(home))


def _registered(home: Household) -> dict[str, Any]:
    told = {"resident": home.resident, "unit": home.unit, "role": home.role}
    return {name: value for name, value in home.requester().items() if name != "id"} | told


def occupancy(where: Setting) -> Iterator[Post]:
    """Now and then somebody moves in or out."""
    units = len(where.homes)
    for day in where.days():
        random = random_stream(where.seed, "occupancy", day.date())
        if random.random() < 0.15:
            units += random.choice((1, 1, -1))
            at = moment(random, day, time(10), time(17))
            yield post(at, "office", f"occupied-{at:%Y%m%d%H%M}", "property.occupancy", occupied_units=units)


def fees(where: Setting) -> Iterator[Post]:
    """A bill for every home and month, each due on a day of its own; paid as that household pays."""
    first = where.start.astimezone(where.zone)
    months = {(day.year, day.month) for day in where.days()} | {(first.year, first.month)}
    for year, month in sorted(months):
        for home in where.homes:
            yield from _bill(where, home, first.replace(year=year, month=month, day=1))


def _bill(where: Setting, home: Household, month: datetime) -> Iterator[Post]:
    random = random_stream(where.seed, "bill", home.unit, month.year, month.month)
    bill = f"{month:%Y%m}-{home.unit}"
    due = month.replace(hour=18, minute=0, second=0, microsecond=0) + DAY * random.randrange(28)
    billed = max(where.start, due - 12 * DAY)
    cents = random.randrange(28_000, 96_000)
    if due <= where.start:
        return
    yield post(billed, "billing", f"bill-{bill}", "fee.billed", bill=bill, unit=home.unit,
               amount=_money(cents), due_at=due.isoformat())  # fmt: skip
    yield from _payments(home, random, bill, cents, billed, due)


def _payments(
    home: Household, random: Random, bill: str, cents: int, billed: datetime, due: datetime
) -> Iterator[Post]:
    span = (due - billed) / MINUTE
    early, late = billed + minutes(random, 0, span * 0.9), due + minutes(random, 600, 9000)
    if home.pays == "in_parts":
        half = cents // 2
        yield _paid(early, f"{bill}-1", bill, half)
        yield _paid(late if random.random() < 0.3 else due - 3 * MINUTE, f"{bill}-2", bill, cents - half)
    elif home.pays == "late":
        yield _paid(late, f"{bill}-1", bill, cents)
    elif home.pays != "never":
        yield _paid(early, f"{bill}-1", bill, cents)
        yield from _trouble(random, bill, cents, early)


def _trouble(random: Random, bill: str, cents: int, at: datetime) -> Iterator[Post]:
    """Some payments bounce and are made again, some are told twice."""
    luck = random.random()
    if luck < 0.02:
        back = at + minutes(random, 60, 1500)
        yield post(back, "billing", f"reversed-{bill}-1", "fee.reversed", payment=f"{bill}-1")
        yield _paid(back + minutes(random, 60, 3000), f"{bill}-2", bill, cents)
    elif luck < 0.05:
        again = _paid(at, f"{bill}-1", bill, cents)
        yield post(
            at + minutes(random, 1, 90), "billing", f"again-{again.id}", "fee.paid", time=at, **again.data
        )


def _paid(at: datetime, payment: str, bill: str, cents: int) -> Post:
    return post(
        at, "billing", f"paid-{payment}", "fee.paid", payment=payment, bill=bill, amount=_money(cents)
    )


def _money(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02}"


def inspections(where: Setting) -> Iterator[Post]:
    """Rounds of cleaning (twice a day), security (once) and greening (three days a week)."""
    rounds = (
        ("cleaning", "am", time(9), time(11), range(7), 36),
        ("cleaning", "pm", time(15), time(17), range(7), 24),
        ("security", "night", time(21), time(23), range(7), 18),
        ("greening", "am", time(8), time(10), (0, 2, 4), 14),
    )
    for day in where.days():
        for line, part, begin, end, weekdays, points in rounds:
            if day.weekday() in weekdays:
                random = random_stream(where.seed, "inspection", line, part, day.date())
                at = moment(random, day, begin, end)
                yield from _inspection(random, f"{line}-{part}-{day:%Y%m%d}", line, at, points)


def _inspection(random: Random, name: str, line: str, at: datetime, points: int) -> Iterator[Post]:
    """Most pass whole; what was found wanting is often looked at again the next day."""
    left = random.choices((0, 1, 2), (93, 5, 2))[0]
    told: dict[str, Any] = {"inspection": name, "line": line, "checked": points}
    yield post(at, "patrol", f"inspection-{name}", "inspection.recorded", **told, passed=points - left)
    if left and random.random() < 0.7:
        again = at + minutes(random, 1200, 1600)
        yield post(again, "patrol", f"inspection-{name}-again", "inspection.recorded", **told, passed=points)


def plants(where: Setting) -> Iterator[Post]:
    """Every Monday, and at the beginning, the plants of every area are counted."""
    for number, day in enumerate(where.days()):
        if number == 0 or day.weekday() == 0:
            for area, planted in _AREAS.items():
                random = random_stream(where.seed, "plants", area, day.date())
                dead = random.choices((0, 1, 3), (88, 9, 3))[0]
                at = max(where.start, moment(random, day, time(8), time(11)))
                yield post(at, "patrol", f"plants-{area}-{day:%Y%m%d}", "planting.counted",
                           area=area, planted=planted, living=planted - dead)  # fmt: skip


def incidents(where: Setting) -> Iterator[Post]:
    """Seldom something happens; sometimes it turns out that management was not responsible."""
    for day in where.days():
        random = random_stream(where.seed, "incident", day.date())
        for number in range(often(random, 0.05)):
            at = moment(random, day, time(6), time(23))
            name = f"{day:%Y%m%d}-{number}"
            told: dict[str, Any] = {"incident": name, "severity": "general", "occurred_at": at.isoformat()}
            ours = random.random() < 0.3
            if random.random() < 0.04:
                told["severity"] = "major"
            heard = at + minutes(random, 5, 120)
            yield post(heard, "office", f"incident-{name}", "incident.recorded", **told, responsible=ours)
            if ours and random.random() < 0.5:
                later = heard + minutes(random, 1000, 5000)
                yield post(later, "office", f"incident-{name}-again", "incident.recorded", **told,
                           responsible=False)  # fmt: skip


def purchases(where: Setting) -> Iterator[Post]:
    """What residents buy of the club and the office."""
    for day in where.days():
        random = random_stream(where.seed, "purchase", day.date())
        for number in range(often(random, 1.2)):
            home, (item, amount) = random.choice(where.homes), random.choice(_ITEMS)
            yield post(moment(random, day, time(9), time(21)), "club", f"purchase-{day:%Y%m%d}-{number}",
                       "purchase.recorded", resident=home.resident, item=item, amount=amount)  # fmt: skip


def questionnaires(where: Setting) -> Iterator[Post]:
    """The month's questionnaire: about half answer, some think better of it a day later."""
    for day in where.days():
        for home in where.homes:
            random = random_stream(where.seed, "questionnaire", day.year, day.month, home.unit)
            if random.random() < 0.5 and random.randrange(28) + 1 == day.day:
                at = moment(random, day, time(9), time(22))
                yield from _answered(home, random, f"{day:%Y-%m}", at)


def _answered(home: Household, random: Random, name: str, at: datetime) -> Iterator[Post]:
    who: dict[str, Any] = {"questionnaire": name, "respondent": home.resident}
    yield post(at, "survey", f"answer-{name}-{home.unit}", "questionnaire.answered", **who,
               ratings=_ratings(home, random))  # fmt: skip
    if random.random() < 0.04:
        later = at + minutes(random, 600, 2000)
        yield post(later, "survey", f"answer-{name}-{home.unit}-again", "questionnaire.answered", **who,
                   ratings=_ratings(home, random))  # fmt: skip


def _ratings(home: Household, random: Random) -> dict[str, int]:
    lines = ("customer_service", "security", "maintenance", "cleaning", "greening")
    return {line: rating(home, random, spoilt=False) for line in lines}


def rating(home: Household, random: Random, *, spoilt: bool) -> int:
    """What a household of this mood gives, where the service was `spoilt` and where it was not."""
    weights = {"easy": (0, 0, 2, 180, 800), "plain": (0, 1, 4, 450, 1500), "demanding": (1, 2, 5, 120, 120)}
    if spoilt:
        weights = {"easy": (0, 2, 8, 50, 40), "plain": (2, 6, 12, 50, 30), "demanding": (10, 20, 20, 30, 20)}
    return random.choices((1, 2, 3, 4, 5), weights[home.mood])[0]


FACTS = (registrations, occupancy, fees, inspections, plants, incidents, purchases, questionnaires)
