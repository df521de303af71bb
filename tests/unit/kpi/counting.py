"""From a world to figures through the service's pure parts, in memory."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from zoneinfo import ZoneInfo

from services.kpi.cases import case_items
from services.kpi.items import Item, micros
from services.kpi.rates import RATES, Figure, families_by, figure
from services.kpi.things import items_of, thing_of
from services.kpi.windows import WINDOWS, Window, window_start
from shared.messages import CaseState, Event
from shared.properties.targets import BUILT_IN

Exact = dict[str, tuple[Fraction, Fraction]]


def items_from(facts: Sequence[Event], cases: Iterable[CaseState]) -> list[Item]:
    """All items: of facts told in any order and any number of times, and of the cases' highest versions."""
    unique = {(fact.source, fact.id): fact for fact in facts}.values()
    things = {thing_of(fact) for fact in unique}
    by_thing = items_of((thing for thing in things if thing.kind != "payment"), unique)
    return [i for items in by_thing.values() for i in items] + [i for case in cases for i in case_items(case)]


def figures(items: Iterable[Item], at: datetime, zone: ZoneInfo) -> dict[tuple[str, Window], Figure]:
    """(kpi, window) → its figure as of `at`."""
    sums: dict[tuple[str, Window], tuple[int, int]] = defaultdict(lambda: (0, 0))
    now = micros(at)
    for window in WINDOWS:
        start = micros(window_start(window, at, zone))
        for item in items:
            by = _contribution(item, start, now)
            weight, good = sums[item.family, window]
            sums[item.family, window] = (weight + item.weight * by, good + item.good * by)
    targets = {target.kpi: target for target in BUILT_IN}
    return {(r.kpi, window): figure(r, targets[r.kpi], window, sums) for r in RATES for window in WINDOWS}


def exact(found: Mapping[tuple[str, Window], Figure], window: Window) -> Exact:
    """What was found in one window."""
    return exact_of(figure for (_, of), figure in found.items() if of == window)


def exact_of(found: Iterable[Figure]) -> Exact:
    """kpi → (numerator, denominator) as shown."""
    return {
        f.rate.kpi: (Fraction(f.numerator, f.rate.scale), Fraction(f.denominator, f.rate.scale))
        for f in found
    }


def _contribution(item: Item, start: int, now: int) -> int:
    if item.family in families_by("spanning"):
        return max(0, min(item.until, now) - max(item.since, start))
    standing = item.since <= now < item.until
    inside = item.family in families_by("standing") or start <= item.counted_at <= now
    return int(standing and inside)
