"""Which events are routed to which queue; every service declares all of it.

A service subscribes to a queue by its name alone; which events come to it stands here and nowhere else.
"""

from msgspec import Struct

from shared.messages.events import (
    CaseChanged,
    CaseClosed,
    CaseOpened,
    DemandAccepted,
    FollowUpDone,
    FollowUpDue,
    KeyRevoked,
)
from shared.messages.facts import (
    DemandWithdrawn,
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
    ResidentRegistered,
)
from shared.messages.registry import EVENT_TYPES

INTERNAL_EXCHANGE = "guanjia.internal"
DEAD_EXCHANGE = "guanjia.dead"
INBOUND_QUEUE = "intake.inbound"

_CASES = (CaseOpened, CaseChanged, CaseClosed)
_EQUIPMENT = (EquipmentRegistered, EquipmentState)
_FEES = (FeeBilled, FeePaid, FeeReversed)

QUEUES: dict[str, tuple[type[Struct], ...]] = {
    "intake.cases": _CASES,
    "dispatch.demands": (DemandAccepted, DemandWithdrawn),
    "dispatch.facts": (*_EQUIPMENT, InspectionRecorded, ResidentRegistered),
    "dispatch.followups": (FollowUpDone,),
    "dispatch.keys": (KeyRevoked,),
    "survey.cases": _CASES,
    "survey.keys": (KeyRevoked,),
    "kpi.facts": (
        OccupancyReported,
        *_FEES,
        IncidentRecorded,
        *_EQUIPMENT,
        PlantingCounted,
        InspectionRecorded,
        QuestionnaireAnswered,
        PurchaseRecorded,
    ),
    "kpi.cases": _CASES,
    "kpi.followups": (FollowUpDue, FollowUpDone),
    "kpi.keys": (KeyRevoked,),
}
"""Queue → the data of the events that are routed to it over the internal exchange."""


def event_types_on(queue: str) -> list[str]:
    """The types of the events that come to `queue`: its routing keys."""
    return [EVENT_TYPES[data] for data in QUEUES[queue]]


def queues_for(event_type: str) -> list[str]:
    """The queues that `event_type` is routed to."""
    return [queue for queue in QUEUES if event_type in event_types_on(queue)]


SUBSCRIBERS = {name: tuple(queues_for(name)) for queue in QUEUES for name in event_types_on(queue)}
"""Event type → the queues that it is routed to; an event without a subscriber of ours is not in it."""


RETRY_SECONDS = (1, 5, 30)
"""The delays that a delivery can be retried with; each is a queue of its own beside the consumer's."""
