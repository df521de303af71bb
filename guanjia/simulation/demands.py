"""Demands of the simulated residents, alarms of ageing equipment, and the day on which an elevator dies."""

from collections.abc import Iterator
from datetime import datetime, time, timedelta
from random import Random
from typing import Any

from guanjia.simulation.plan import Post, Setting, post
from guanjia.simulation.random_streams import MINUTE, minutes, moment, often, random_stream
from guanjia.simulation.residents import Household
from guanjia.simulation.texts import PASSING, PER_DAY, STUCK, WISHES, Wish

_CHANNELS = (("app", "owner-app", 50), ("wechat", "mini-program", 25), ("phone", "hotline", 25))
_HOURS = ((time(7), time(9), 20), (time(9), time(18), 40), (time(18), time(22, 30), 35),
          (time(23), time(23, 59), 3), (time(0), time(6), 2))  # fmt: skip
FAULTS_PER_DAY = 0.4
PASSES_BY_ITSELF = 0.2
"""How many of the alarms are gone before anybody comes."""
BURST_EVERY = 12
"""Days between the deaths of elevators; the first one dies on the second day."""
LAST_BURST = timedelta(minutes=35)


def demands(where: Setting) -> Iterator[Post]:
    """What residents raise, by kind and day; a few think better of it."""
    for day in where.days():
        for kind, expected in PER_DAY.items():
            random = random_stream(where.seed, "demands", kind, day.date())
            for number in range(often(random, expected)):
                yield from _demand(where, random, f"{kind}-{day:%Y%m%d}-{number}", kind, day)
        if random_stream(where.seed, "passing", day.date()).random() < 0.05:
            yield _passing(where, day)


def _demand(where: Setting, random: Random, name: str, kind: str, day: datetime) -> Iterator[Post]:
    home = random.choice(where.homes)
    wishes = [wish for wish in WISHES if wish.kind == kind]
    wish = random.choices(wishes, [wish.weight for wish in wishes])[0]
    begin, end, _ = random.choices(_HOURS, [weight for *_, weight in _HOURS])[0]
    at = moment(random, day, begin, end)
    raised = raised_by(random, name, home, wish, at)
    yield raised
    if random.random() < 0.02:
        yield post(at + minutes(random, 3, 40), raised.source.partition("/")[2], f"{name}-withdrawn",
                   "demand.withdrawn", reference=name, reason="不需要了")  # fmt: skip


def raised_by(random: Random, name: str, home: Household, wish: Wish, at: datetime) -> Post:
    """The demand as this household raises it."""
    channel, source, _ = random.choices(_CHANNELS, [weight for *_, weight in _CHANNELS])[0]
    told: dict[str, Any] = {
        "kind": wish.kind,
        "summary": wish.said(home.language),
        "channel": channel,
        "location": {"floor": home.floor, "unit": home.unit},
        "requester": home.requester(),
        "reference": name,
    }
    extra = {"subject": wish.subject, "priority": wish.priority, "line": wish.line}
    told |= {key: value for key, value in extra.items() if value is not None}
    return post(at, source, name, "demand.raised", **told)


def _passing(where: Setting, day: datetime) -> Post:
    random = random_stream(where.seed, "passing by", day.date())
    name = f"passing-{day:%Y%m%d}"
    return post(moment(random, day, time(10), time(20)), "hotline", name, "demand.raised",
                kind="repair", summary=PASSING.zh, subject=PASSING.subject, channel="phone",
                location={"floor": 3}, reference=name)  # fmt: skip


def faults(where: Setting) -> Iterator[Post]:
    """Equipment ages, each piece at its own pace: alarms; what passes by itself is told as intact again."""
    pieces = where.prop.equipment
    for day in where.days():
        random = random_stream(where.seed, "faults", day.date())
        for number in range(often(random, FAULTS_PER_DAY)):
            ages = [random_stream(where.seed, "age", piece.id).uniform(0.2, 2) for piece in pieces]
            piece = random.choices(pieces, ages)[0]
            at = moment(random, day, time(0), time(23, 59)) + timedelta(seconds=number)
            yield _state(at, piece.id, "faulty", alarm=True)
            if random.random() < PASSES_BY_ITSELF:
                yield _state(at + minutes(random, 2, 12), piece.id, "intact")


def _state(at: datetime, piece: str, state: str, **more: Any) -> Post:
    return post(at, "bms", f"{piece}-{state}-{at:%Y%m%d%H%M%S}", "equipment.state",
                equipment=piece, state=state, **more)  # fmt: skip


def bursts(where: Setting) -> Iterator[Post]:
    """An elevator dies in the evening rush: one alarm, and soon thirty households report it.

    At the end of the span, by day, one has died shortly before: whoever comes then finds them at it.
    """
    last = where.end.astimezone(where.zone) - LAST_BURST
    wanted = time(7) <= last.time() < time(22) and where.end - where.start > timedelta(days=7)
    for number, day in enumerate(where.days()):
        if number % BURST_EVERY == 1:
            random = random_stream(where.seed, "burst", day.date())
            at = moment(random, day, time(17, 45), time(18, 30))
            wanted = wanted and not (at.date() == last.date() and at < where.end)
            yield from _burst(where, random, at, 30)
    if wanted:
        yield from _burst(where, random_stream(where.seed, "last burst"), last, 9)


def _burst(where: Setting, random: Random, at: datetime, count: int) -> Iterator[Post]:
    lifts = [piece.id for piece in where.prop.equipment if piece.system == "elevator"]
    if not lifts:
        return
    yield _state(at, random.choice(lifts), "faulty", alarm=True)
    for home in random.sample(where.homes, min(count, len(where.homes))):
        name = f"stuck-{at:%Y%m%d%H}-{home.unit}"
        yield raised_by(random, name, home, random.choice(STUCK), at + MINUTE * random.randint(2, 25))


def burst_of(name: str) -> bool:
    """Whether the demand of this name is one of the many about a dead elevator."""
    return name.startswith("stuck-")


DEMANDS = (demands, faults, bursts)
