"""Which thing a fact is about, and the items of things from all their facts."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from services.kpi.domain import timelines
from services.kpi.domain.case_items import follow_up_items
from services.kpi.domain.items import FactSubject, Item
from shared.messages.cloudevents import Event
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

Timeline = Callable[[Sequence[Event]], list[Item]]

TIMELINES: Mapping[str, Timeline] = {
    "occupancy": timelines.occupancy,
    "incident": timelines.incident,
    "equipment": timelines.equipment,
    "planting": timelines.planting,
    "inspection": timelines.inspection,
    "questionnaire": timelines.questionnaire,
    "follow_up": follow_up_items,
    "purchase": timelines.purchase,
}
"""Kinds of things whose items follow from their own facts alone; a bill's follow from its payments' too."""


def subject_of(fact: Event) -> FactSubject:
    """The thing that a fact is about."""
    kind, id_ = _kind_and_id(fact)
    return FactSubject(fact.data.property, kind, id_)


def items_from_facts(things: Iterable[FactSubject], facts: Iterable[Event]) -> dict[FactSubject, list[Item]]:
    """The items of `things`, given all their facts, and of bills all facts of their payments."""
    told: dict[FactSubject, list[Event]] = defaultdict(list)
    for fact in facts:
        told[subject_of(fact)].append(fact)
    paid = _payments_by_bill(told)
    return {
        thing: timelines.bill(told[thing], paid[thing.property, thing.id])
        if thing.kind == "bill"
        else TIMELINES[thing.kind](told[thing])
        for thing in things
    }


def _payments_by_bill(
    told: Mapping[FactSubject, Sequence[Event]],
) -> Mapping[tuple[str, str], list[timelines.Payment]]:
    """(property, bill) → what was paid on it."""
    paid: dict[tuple[str, str], list[timelines.Payment]] = defaultdict(list)
    for thing, facts in told.items():
        for payment in timelines.payments(facts) if thing.kind == "payment" else ():
            paid[thing.property, payment.bill].append(payment)
    return paid


def _kind_and_id(fact: Event) -> tuple[str, str]:
    """Kind and id of the subject within its property."""
    data = fact.data
    match data:
        case OccupancyReported():
            return "occupancy", ""
        case FeeBilled():
            return "bill", data.bill
        case FeePaid() | FeeReversed():
            return "payment", data.payment
        case IncidentRecorded():
            return "incident", data.incident
        case EquipmentRegistered() | EquipmentState():
            return "equipment", data.equipment
        case PlantingCounted():
            return "planting", data.area
        case InspectionRecorded():
            return "inspection", data.inspection
        case QuestionnaireAnswered():
            return "questionnaire", msgspec.json.encode([data.questionnaire, data.respondent]).decode()
        case PurchaseRecorded():
            return "purchase", msgspec.json.encode([fact.source, fact.id]).decode()
        case FollowUpDue():
            return "follow_up", data.followup
    raise TypeError(f"{type(data).__name__} is no fact that is counted")
