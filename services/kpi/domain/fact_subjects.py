"""What a fact is about, and the items of such subjects from all their facts."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

import msgspec

from services.kpi.domain import timelines
from services.kpi.domain.case_items import follow_up_items
from services.kpi.domain.items import FactSubject, Item
from services.kpi.domain.timelines import Fact, Facts
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

Timeline = Callable[[Facts], list[Item]]
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
"""By kind of subject whose items follow from its own facts alone; a bill's follow from its payments' too."""


def subject_of(fact: Event[Fact]) -> FactSubject:
    """What a fact is about."""
    kind, id_ = _kind_and_id(fact)
    return FactSubject(fact.data.property, kind, id_)


def items_from_facts(
    subjects: Iterable[FactSubject], facts: Iterable[Event[Fact]]
) -> dict[FactSubject, list[Item]]:
    """The items of `subjects`, given all their facts, and of bills all facts of their payments."""
    by_subject: dict[FactSubject, list[Event[Fact]]] = defaultdict(list)
    for fact in facts:
        by_subject[subject_of(fact)].append(fact)
    paid = _payments_by_bill(by_subject)
    return {
        subject: timelines.bill(by_subject[subject], paid[subject.property, subject.id])
        if subject.kind == "bill"
        else TIMELINES[subject.kind](by_subject[subject])
        for subject in subjects
    }


def _payments_by_bill(
    facts_by_subject: Mapping[FactSubject, Facts],
) -> Mapping[tuple[str, str], list[timelines.Payment]]:
    """(property, bill) → what was paid on it."""
    paid: dict[tuple[str, str], list[timelines.Payment]] = defaultdict(list)
    for subject, facts in facts_by_subject.items():
        for payment in timelines.payments(facts) if subject.kind == "payment" else ():
            paid[subject.property, payment.bill].append(payment)
    return paid


def _kind_and_id(fact: Event[Fact]) -> tuple[str, str]:
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
