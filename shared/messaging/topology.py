"""Who hears what: every queue with the event types that are routed to it. All services declare all of it."""

from shared.messages.facts import INBOUND

INBOUND_EXCHANGE = "guanjia.inbound"
PUBLIC_EXCHANGE = "guanjia.events"
INTERNAL_EXCHANGE = "guanjia.internal"
DEAD_EXCHANGE = "guanjia.dead"

_CASES = ("guanjia.case.opened.v1", "guanjia.case.changed.v1", "guanjia.case.closed.v1")
_FOLLOW_UPS = ("guanjia.followup.due.v1", "guanjia.followup.done.v1")
_FACTS = tuple(name for name in INBOUND if not name.startswith("guanjia.demand."))
_KEYS = ("guanjia.key.revoked.v1",)

INBOUND_QUEUE = "intake.inbound"

QUEUES: dict[str, tuple[str, ...]] = {
    "intake.cases": _CASES,
    "dispatch.demands": ("guanjia.demand.accepted.v1", "guanjia.demand.withdrawn.v1"),
    "dispatch.facts": (
        "guanjia.equipment.registered.v1",
        "guanjia.equipment.state.v1",
        "guanjia.inspection.recorded.v1",
        "guanjia.resident.registered.v1",
    ),
    "dispatch.followups": ("guanjia.followup.done.v1",),
    "dispatch.keys": _KEYS,
    "survey.cases": _CASES,
    "survey.keys": _KEYS,
    "kpi.facts": _FACTS,
    "kpi.cases": _CASES,
    "kpi.followups": _FOLLOW_UPS,
    "kpi.keys": _KEYS,
}
"""Queue → the event types that come to it over the internal exchange."""


def queues_for(event_type: str) -> list[str]:
    """The queues that `event_type` is routed to."""
    return [queue for queue, types in QUEUES.items() if event_type in types]


AUDIENCES = {name: tuple(queues_for(name)) for names in QUEUES.values() for name in names}
"""Event type → the queues that hear it; what nobody of ours listens to is not in it."""


RETRY_SECONDS = (1, 5, 30)
"""The delays that a delivery can be retried with; each is a queue of its own beside the consumer's."""
