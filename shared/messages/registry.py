"""Which class each event type names, and which events are published for others."""

from msgspec import Struct

from shared.messages import events
from shared.messages.facts import INBOUND

INBOUND_EXCHANGE = "guanjia.inbound"
PUBLIC_EXCHANGE = "guanjia.events"

PUBLIC: dict[str, type[Struct]] = {
    "guanjia.case.opened.v1": events.CaseOpened,
    "guanjia.case.changed.v1": events.CaseChanged,
    "guanjia.case.closed.v1": events.CaseClosed,
    "guanjia.case.deadline.v1": events.CaseDeadline,
    "guanjia.followup.due.v1": events.FollowUpDue,
    "guanjia.followup.done.v1": events.FollowUpDone,
    "guanjia.kpi.breached.v1": events.KpiBreached,
    "guanjia.kpi.recovered.v1": events.KpiRecovered,
}
"""Published on `guanjia.events`, one event a message."""

TYPES: dict[str, type[Struct]] = {
    **INBOUND,
    **PUBLIC,
    "guanjia.demand.accepted.v1": events.DemandAccepted,
    "guanjia.key.revoked.v1": events.KeyRevoked,
}

EVENT_TYPES = {schema: name for name, schema in TYPES.items()}
"""The class of the data → the event type that names it."""
