"""From a world to figures through the service's pure parts, in memory."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from zoneinfo import ZoneInfo

from services.kpi.domain.case_items import case_items
from services.kpi.domain.fact_subjects import items_from_facts, subject_of
from services.kpi.domain.items import Item, to_micros
from services.kpi.domain.rates import RATES, Figure, compute_figure, families_by
from services.kpi.domain.windows import WINDOWS, Window, window_start
from shared.messages.cloudevents import Event
from shared.messages.events import CaseState
from shared.properties.targets import BUILT_IN

Exact = dict[str, tuple[Fraction, Fraction]]


def items_from(facts: Sequence[Event], cases: Iterable[CaseState]) -> list[Item]:
    """All items: of facts told in any order and any number of times, and of the cases' highest versions."""
    unique = {(fact.source, fact.id): fact for fact in facts}.values()
    things = {subject_of(fact) for fact in unique}
    by_thing = items_from_facts((thing for thing in things if thing.kind != "payment"), unique)
    return [i for items in by_thing.values() for i in items] + [i for case in cases for i in case_items(case)]


def figures(items: Iterable[Item], at: datetime, zone: ZoneInfo) -> dict[tuple[str, Window], Figure]:
    """(kpi, window) → its figure as of `at`."""
    sums: dict[tuple[str, Window], tuple[int, int]] = defaultdict(lambda: (0, 0))
    now = to_micros(at)
    for window in WINDOWS:
        start = to_micros(window_start(window, at, zone))
        for item in items:
            by = _contribution(item, start, now)
            weight, good = sums[item.family, window]
            sums[item.family, window] = (weight + item.weight * by, good + item.good * by)
    targets = {target.kpi: target for target in BUILT_IN}
    return {
        (r.kpi, window): compute_figure(r, targets[r.kpi], window, sums) for r in RATES for window in WINDOWS
    }


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
