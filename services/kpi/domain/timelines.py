"""Facts of one subject → its items: pure functions of the *set* of facts; order and duplicates can't matter.

Of several versions the one with the latest time stands, whole; of two of the same time, the one whose
(source, id) sorts last by code points, which is how Python compares strings."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Generic, NamedTuple, TypeVar

from msgspec import Struct

from services.kpi.domain.items import FOREVER, Item, to_micros, to_money_units
from shared.messages.cloudevents import Event, select_events
from shared.messages.events import FollowUpDue
from shared.messages.facts import (
    EquipmentRegistered,
    EquipmentState,
    FeeBilled,
    FeePaid,
    FeeReversed,
    IncidentRecorded,
    InspectionRecorded,
    OccupancyReported,
    PlantingCounted,
    PurchaseRecorded,
    QuestionnaireAnswered,
)

Fact = (
    OccupancyReported
    | FeeBilled
    | FeePaid
    | FeeReversed
    | IncidentRecorded
    | EquipmentRegistered
    | EquipmentState
    | PlantingCounted
    | InspectionRecorded
    | QuestionnaireAnswered
    | PurchaseRecorded
    | FollowUpDue
)
"""What kpi counts, beside the cases."""
Facts = Sequence[Event[Fact]]
Data = TypeVar("Data", bound=Struct)


class Span(NamedTuple):
    """From `since` until `until`, which is no longer in it."""

    since: int
    until: int


class Version(NamedTuple, Generic[Data]):
    """What a subject was during a span."""

    data: Data
    span: Span


class Payment(NamedTuple):
    """Money that stands on a bill during a span."""

    bill: str
    amount: int
    span: Span


def in_order(facts: Iterable[Event[Data]]) -> list[Event[Data]]:
    """By time, then source, then id."""
    return sorted(facts, key=lambda fact: (fact.time, fact.source, fact.id))


def versions(facts: Iterable[Event[Data]]) -> Iterator[Version[Data]]:
    """Each version for as long as it stands; one replaced within the same instant never stood."""
    ordered = in_order(facts)
    spans = pairwise([*(to_micros(fact.time) for fact in ordered), FOREVER])
    for fact, (since, until) in zip(ordered, spans, strict=True):
        if since < until:
            yield Version(fact.data, Span(since, until))


def occupancy(facts: Facts) -> list[Item]:
    """Occupied units: the latest figure stands."""
    return [
        _standing("occupied_units", span, data.occupied_units, 0)
        for data, span in versions(select_events(facts, OccupancyReported))
    ]


def purchase(_: Facts) -> list[Item]:
    """A purchase is kept as a fact; no rate counts it."""
    return []


def planting(facts: Facts) -> list[Item]:
    """Plants of one area: the latest count stands."""
    return [
        _standing("plants", span, data.planted, data.living)
        for data, span in versions(select_events(facts, PlantingCounted))
    ]


def inspection(facts: Facts) -> list[Item]:
    """Points of one inspection, by its line, at its version's own time."""
    return [
        _standing(f"inspected_{data.line}", span, data.checked, data.passed)
        for data, span in versions(select_events(facts, InspectionRecorded))
    ]


def incident(facts: Facts) -> list[Item]:
    """One incident, if management is responsible for it; when it occurred decides the window."""
    return [
        Item(f"incident_{data.severity}", to_micros(data.occurred_at), span.since, span.until, 1, 1)
        for data, span in versions(select_events(facts, IncidentRecorded))
        if data.responsible
    ]


def questionnaire(facts: Facts) -> list[Item]:
    """One respondent's ratings, each line by itself; a correction replaces all of them."""
    return [
        item
        for data, span in versions(select_events(facts, QuestionnaireAnswered))
        for line, rating in data.ratings.items()
        for item in rating_items(line, rating, data.reason, span)
    ]


def rating_items(line: str, rating: int, reason: str | None, span: Span, case: str = "") -> list[Item]:
    """A rating of a line: 4 and 5 are satisfied, 1 and 2 dissatisfied, for a reason."""
    items = [_standing(f"answer_{line}", span, 1, int(rating >= 4), case)]
    if rating <= 2:
        items.append(_standing(f"dissatisfied_{reason or 'unstated'}", span, 1, 1, case))
    return items


def equipment(facts: Facts) -> list[Item]:
    """Time in service, intact or not: from the first registration until retired, which is for good."""
    registered = [to_micros(fact.time) for fact in select_events(facts, EquipmentRegistered)]
    states = select_events(facts, EquipmentState)
    if not registered:
        return []
    begin = min(registered)
    end = min((to_micros(fact.time) for fact in states if fact.data.state == "retired"), default=FOREVER)
    return [
        Item("equipment", max(span.since, begin), max(span.since, begin), min(span.until, end), 1, intact)
        for span, intact in _conditions([fact for fact in states if fact.data.state != "retired"])
        if max(span.since, begin) < min(span.until, end)
    ]


def _conditions(states: Sequence[Event[EquipmentState]]) -> list[tuple[Span, int]]:
    """When equipment was intact (1) or not (0): intact until a state says otherwise."""
    stated = [(span, int(data.state == "intact")) for data, span in versions(states)]
    return [(Span(-FOREVER, stated[0][0].since if stated else FOREVER), 1), *stated]


def payments(facts: Facts) -> list[Payment]:
    """One payment: counted once however often it arrives, until it is reversed."""
    end = min((to_micros(fact.time) for fact in select_events(facts, FeeReversed)), default=FOREVER)
    return [
        Payment(data.bill, to_money_units(data.amount), Span(span.since, min(span.until, end)))
        for data, span in versions(select_events(facts, FeePaid))
        if span.since < end
    ]


def bill(facts: Facts, paid: Sequence[Payment]) -> list[Item]:
    """One bill and what stands paid on it, at most its own amount; when it is due decides the window."""
    items = []
    for data, span in versions(select_events(facts, FeeBilled)):
        amount = to_money_units(data.amount)
        for since, until in pairwise(_cuts(span, paid)):
            standing = sum(p.amount for p in paid if p.span.since <= since < p.span.until)
            items.append(Item("bill", to_micros(data.due_at), since, until, amount, min(standing, amount)))
    return items


def _cuts(span: Span, paid: Sequence[Payment]) -> list[int]:
    """The instants at which what is paid may change during a span, from its beginning to its end."""
    inside = {instant for p in paid for instant in p.span if span.since < instant < span.until}
    return sorted({*span} | inside)


def _standing(family: str, span: Span, denominator: int, numerator: int, case: str = "") -> Item:
    """Counts at the span's beginning."""
    return Item(family, span.since, span.since, span.until, denominator, numerator, case)
