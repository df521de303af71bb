"""The Alertmanager webhook, version 4: firing is an equipment alarm, resolved its all-clear, once each."""

from typing import Literal

from msgspec import Struct

from services.intake.api.events import MAX_BATCH, MAX_BATCH_BYTES
from services.intake.api.replies import BatchReply, accept_each, make_event_context
from services.intake.domain.alerts import Alert, make_event_id, read_state_time, to_equipment_state
from services.intake.domain.incoming_event import EventContext, IncomingEvent, make_event
from services.intake.operations.context import IntakeContext
from shared.errors import InvalidInput, Problem, TooLarge
from shared.http.endpoints import Call, Endpoints
from shared.http.json_input import convert
from shared.messages.facts import Instant, Word

endpoints = Endpoints()


class AlertmanagerPost(Struct):
    """A post of Alertmanager."""

    version: Literal["4"]
    alerts: list[Alert]


class AlertmanagerQuery(Struct, forbid_unknown_fields=True):
    """Which property the alerts are about, where no label `property` says so."""

    property: Word | None = None


AlertsCall = Call[IntakeContext, AlertmanagerQuery, AlertmanagerPost]


@endpoints.add(
    "POST", "/v1/alertmanager", roles=("source",), body_limit=MAX_BATCH_BYTES,
    summary=("Alertmanager 告警接入", "Take Alertmanager alerts"),
)  # fmt: skip
async def post_alertmanager(call: AlertsCall) -> BatchReply:
    alerts = call.body.alerts
    if len(alerts) > MAX_BATCH:
        raise TooLarge
    call.context.rate_limiter.check(call.identity.key, len(alerts))
    context = make_event_context(call)
    members = [_read_member(call, context, alert, index) for index, alert in enumerate(alerts)]
    problems = [member for member in members if isinstance(member, Problem)]
    if problems and len(problems) == len(members):
        raise problems[0]
    return await accept_each(call, members)


def _read_member(
    call: AlertsCall, context: EventContext, alert: Alert, index: int
) -> IncomingEvent | Problem:
    try:
        return _read_alert(call, context, alert, f"alerts[{index}]")
    except Problem as problem:
        return problem


def _read_alert(call: AlertsCall, context: EventContext, alert: Alert, path: str) -> IncomingEvent:
    property_id = _choose_property(call, alert)
    if property_id is None:
        raise InvalidInput.of(f"{path}.labels.property", "This label is required", "缺少 property 标签")
    call.identity.require_property(property_id)
    resolved = alert.status == "resolved"
    end = convert(alert.endsAt, Instant, f"{path}.endsAt") if resolved else None
    return make_event(
        f"alertmanager/{call.identity.name}",
        make_event_id(alert),
        "guanjia.equipment.state.v1",
        read_state_time(alert, end),
        to_equipment_state(alert, property_id),
        context,
    )


def _choose_property(call: AlertsCall, alert: Alert) -> str | None:
    """The property that a label names, or the query, or the only one that the key may see."""
    named = alert.labels.get("property") or call.query.property
    visible = [name for name in call.context.properties if call.identity.may_see(name)]
    return named or (visible[0] if len(visible) == 1 else None)
