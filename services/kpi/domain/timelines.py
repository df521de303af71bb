"""Facts of one thing → its items: pure functions of the *set* of facts, so order and duplicates can't matter.

Of several versions of a thing the one with the latest time is the thing, whole; of two of the same time, the
one whose (source, id) sorts last by code points, which is how Python compares strings."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from services.kpi.domain.items import FOREVER, Item, to_micros, to_money_units
from shared.messages.cloudevents import Event
from shared.messages.facts import EquipmentRegistered, EquipmentState, FeePaid, FeeReversed


class Version(NamedTuple):
    """What a thing was from `since` until `until`."""

    data: Any
    since: int
    until: int


class Payment(NamedTuple):
    """Money that stands on a bill from `since` until `until`."""

    bill: str
    amount: int
    since: int
    until: int


def in_order(facts: Iterable[Event]) -> list[Event]:
    """By time, then source, then id."""
    return sorted(facts, key=lambda fact: (fact.time, fact.source, fact.id))


def versions(facts: Iterable[Event]) -> Iterator[Version]:
    """Each version for as long as it stands; one replaced within the same instant never stood."""
    ordered = in_order(facts)
    spans = pairwise([*(to_micros(fact.time) for fact in ordered), FOREVER])
    for fact, (since, until) in zip(ordered, spans, strict=True):
        if since < until:
            yield Version(fact.data, since, until)


def occupancy(facts: Sequence[Event]) -> list[Item]:
    """Occupied units: the latest figure stands."""
    return [_standing("occupied_units", v, v.data.occupied_units, 0) for v in versions(facts)]


def purchase(_: Sequence[Event]) -> list[Item]:
    """A purchase is kept as a fact; no rate counts it."""
    return []


def planting(facts: Sequence[Event]) -> list[Item]:
    """Plants of one area: the latest count stands."""
    return [_standing("plants", v, v.data.planted, v.data.living) for v in versions(facts)]


def inspection(facts: Sequence[Event]) -> list[Item]:
    """Points of one inspection, by its line, at its version's own time."""
    return [_standing(f"inspected_{v.data.line}", v, v.data.checked, v.data.passed) for v in versions(facts)]


def incident(facts: Sequence[Event]) -> list[Item]:
    """One incident, if management is responsible for it; when it occurred decides the window."""
    return [
        Item(f"incident_{v.data.severity}", to_micros(v.data.occurred_at), v.since, v.until, 1, 1)
        for v in versions(facts)
        if v.data.responsible
    ]


def questionnaire(facts: Sequence[Event]) -> list[Item]:
    """One respondent's ratings, each line by itself; a correction replaces them as a whole."""
    return [
        item
        for v in versions(facts)
        for line, rating in v.data.ratings.items()
        for item in rating_items(line, rating, v.data.reason, v)
    ]


def rating_items(line: str, rating: int, reason: str | None, version: Version, case: str = "") -> list[Item]:
    """A rating of a line: 4 and 5 are satisfied, 1 and 2 dissatisfied, for a reason."""
    items = [_standing(f"answer_{line}", version, 1, int(rating >= 4), case)]
    if rating <= 2:
        items.append(_standing(f"dissatisfied_{reason or 'unstated'}", version, 1, 1, case))
    return items


def equipment(facts: Sequence[Event]) -> list[Item]:
    """Time in service, intact or not: from the first registration until retired, which is for good."""
    registered = [to_micros(fact.time) for fact in facts if isinstance(fact.data, EquipmentRegistered)]
    states = [fact for fact in facts if isinstance(fact.data, EquipmentState)]
    if not registered:
        return []
    begin = min(registered)
    end = min((to_micros(fact.time) for fact in states if fact.data.state == "retired"), default=FOREVER)
    told = list(versions(fact for fact in states if fact.data.state != "retired"))
    before = Version(None, -FOREVER, told[0].since if told else FOREVER)
    spans = [(v.data, max(v.since, begin), min(v.until, end)) for v in (before, *told)]
    return [
        Item("equipment", since, since, until, 1, int(state is None or state.state == "intact"))
        for state, since, until in spans
        if since < until
    ]


def payments(facts: Sequence[Event]) -> list[Payment]:
    """One payment: counted once however often it is told, until it is reversed."""
    end = min((to_micros(fact.time) for fact in facts if isinstance(fact.data, FeeReversed)), default=FOREVER)
    return [
        Payment(v.data.bill, to_money_units(v.data.amount), v.since, min(v.until, end))
        for v in versions(fact for fact in facts if isinstance(fact.data, FeePaid))
        if v.since < end
    ]


def bill(facts: Sequence[Event], paid: Sequence[Payment]) -> list[Item]:
    """One bill and what stands paid on it, at most its own amount; when it is due decides the window."""
    items = []
    for v in versions(facts):
        amount = to_money_units(v.data.amount)
        for since, until in pairwise(_cuts(v, paid)):
            standing = sum(p.amount for p in paid if p.since <= since < p.until)
            items.append(Item("bill", to_micros(v.data.due_at), since, until, amount, min(standing, amount)))
    return items


def _cuts(version: Version, paid: Sequence[Payment]) -> list[int]:
    """The instants at which what is paid on a version may change, from its beginning to its end."""
    inside = {t for p in paid for t in (p.since, p.until) if version.since < t < version.until}
    return sorted({version.since, version.until} | inside)


def _standing(family: str, version: Version, weight: int, good: int, case: str = "") -> Item:
    """Counts at the version's own time."""
    return Item(family, version.since, version.since, version.until, weight, good, case)
