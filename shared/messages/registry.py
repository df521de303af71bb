"""Which class each event type names, and which events are published for others."""

from msgspec import Struct

from shared.messages import internal
from shared.messages.facts import INBOUND

PUBLIC: dict[str, type[Struct]] = {
    "guanjia.case.opened.v1": internal.CaseOpened,
    "guanjia.case.changed.v1": internal.CaseChanged,
    "guanjia.case.closed.v1": internal.CaseClosed,
    "guanjia.case.deadline.v1": internal.CaseDeadline,
    "guanjia.followup.due.v1": internal.FollowUpDue,
    "guanjia.followup.done.v1": internal.FollowUpDone,
    "guanjia.kpi.breached.v1": internal.KpiBreached,
    "guanjia.kpi.recovered.v1": internal.KpiRecovered,
}
"""Published on `guanjia.events`, one event a message."""

TYPES: dict[str, type[Struct]] = {
    **INBOUND,
    **PUBLIC,
    "guanjia.demand.accepted.v1": internal.DemandAccepted,
    "guanjia.key.revoked.v1": internal.KeyRevoked,
}

_NAMES = {schema: name for name, schema in TYPES.items()}


def type_of(schema: type[Struct]) -> str:
    """The event type that names `schema`."""
    return _NAMES[schema]
