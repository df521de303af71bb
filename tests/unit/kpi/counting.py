"""From a world to figures through the service's pure parts, in memory."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from typing import get_args
from zoneinfo import ZoneInfo

from services.kpi.domain.case_items import case_items
from services.kpi.domain.fact_subjects import items_from_facts, subject_of
from services.kpi.domain.figures import Figure, Totals, compute_figure
from services.kpi.domain.items import Item, to_micros
from services.kpi.domain.rate import How
from services.kpi.domain.rates import RATES
from services.kpi.domain.windows import WINDOWS, Window, window_start
from shared.messages.cloudevents import Event
from shared.messages.events import CaseState

Exact = dict[str, tuple[Fraction, Fraction]]


def items_from(facts: Sequence[Event], cases: Iterable[CaseState]) -> list[Item]:
    """All items: of facts in any order and any number of times, and of the cases' highest versions."""
    unique = {(fact.source, fact.id): fact for fact in facts}.values()
    subjects = {subject_of(fact) for fact in unique}
    by_subject = items_from_facts((s for s in subjects if s.kind != "payment"), unique)
    return [i for items in by_subject.values() for i in items] + [
        i for case in cases for i in case_items(case)
    ]


def figures(items: Iterable[Item], at: datetime, zone: ZoneInfo) -> dict[tuple[str, Window], Figure]:
    """(kpi, window) → its figure as of `at`."""
    sums: dict[tuple[How, str, Window], Totals] = defaultdict(lambda: Totals(0, 0))
    now = to_micros(at)
    for window in WINDOWS:
        start = to_micros(window_start(window, at, zone))
        for item in items:
            for how in get_args(How):
                by = _contribution(item, how, start, now)
                denominator, numerator = sums[how, item.family, window]
                sums[how, item.family, window] = Totals(
                    denominator + item.denominator * by, numerator + item.numerator * by
                )
    return {
        (kpi, window): compute_figure(rate, rate.target, window, sums)
        for kpi, rate in RATES.items()
        for window in WINDOWS
    }


def exact(by_window: Mapping[tuple[str, Window], Figure], window: Window) -> Exact:
    """The figures of one window."""
    return exact_of(figure for (_, of), figure in by_window.items() if of == window)


def exact_of(row: Iterable[Figure]) -> Exact:
    """kpi → (numerator, denominator) as the API gives them."""
    return {
        f.rate.kpi: (Fraction(f.numerator, f.rate.unit.scale), Fraction(f.denominator, f.rate.unit.scale))
        for f in row
    }


def _contribution(item: Item, how: How, start: int, now: int) -> int:
    if how == "spanning":
        return max(0, min(item.until, now) - max(item.since, start))
    standing = item.since <= now < item.until
    inside = how == "standing" or start <= item.counted_at <= now
    return int(standing and inside)
