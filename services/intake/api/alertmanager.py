"""The Alertmanager webhook, version 4: firing is an equipment alarm, resolved its all-clear, once each."""

from typing import Any, Literal

from msgspec import Struct

from services.intake.api.events import BATCH, BATCH_BYTES
from services.intake.api.replies import BatchReply, accept_each
from services.intake.domain.incoming_event import IncomingEvent, make_event, read_alert
from shared.errors import InvalidInput, Problem, TooLarge
from shared.http.endpoints import Call, Endpoints, Reply, language_of
from shared.messages.facts import Id, Instant, Word

endpoints = Endpoints()


class Alert(Struct):
    """One alert; what is not needed here is not read."""

    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    startsAt: Instant
    endsAt: Instant
    fingerprint: Id


class AlertmanagerPost(Struct):
    """A post of Alertmanager."""

    version: Literal["4"]
    alerts: list[Alert]


class AlertmanagerQuery(Struct, forbid_unknown_fields=True):
    """Which property the alerts are about, where no label `property` says so."""

    property: Word | None = None


@endpoints.add(
    "POST", "/v1/alertmanager", roles=("source",), body=AlertmanagerPost, answer=BatchReply,
    limit=BATCH_BYTES, query=AlertmanagerQuery,
    summary=("Alertmanager 告警接入", "Take Alertmanager alerts"),
)  # fmt: skip
async def post_alertmanager(call: Call) -> Reply:
    alerts: list[Alert] = call.body.alerts
    if len(alerts) > BATCH:
        raise TooLarge
    call.service.acceptor.check_rate(call.identity, len(alerts))
    read = [_try_read(call, alert, index) for index, alert in enumerate(alerts)]
    if read and all(isinstance(outcome, Problem) for outcome in read):
        raise next(outcome for outcome in read if isinstance(outcome, Problem))
    results: list[Any] = list(await accept_each(call.service.acceptor, read, language_of(call.request)))
    return Reply({"results": results})


def _try_read(call: Call, alert: Alert, index: int) -> IncomingEvent | Problem:
    try:
        return _offer(call, alert, index)
    except Problem as problem:
        return problem


def _offer(call: Call, alert: Alert, index: int) -> IncomingEvent:
    service, identity = call.service, call.identity
    property_id = _property_of(call, alert)
    if property_id is None:
        path = f"alerts[{index}].labels.property"
        raise InvalidInput.of(path, "This label is required", "缺少 property 标签")
    identity.require_property(property_id)
    id_, at, data = read_alert(alert, property_id)
    return make_event(f"alertmanager/{identity.name}", id_, "guanjia.equipment.state.v1", at, data,
                      by=identity.name, now=service.clock.now(), properties=service.properties)  # fmt: skip


def _property_of(call: Call, alert: Alert) -> str | None:
    """The property that a label names, or the query, or the only one that the key may see."""
    known, own = call.service.properties, call.identity.properties
    told = alert.labels.get("property") or call.query.property
    only = list(known if own is None else own)
    return told or (only[0] if len(only) == 1 else None)
