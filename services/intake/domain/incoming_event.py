"""What is offered at the door, read and checked; pure, so that every door reads alike."""

import hashlib
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, Protocol

import msgspec
from msgspec import Meta, Struct

from shared.errors import FieldError, InvalidInput
from shared.http.json_input import field_error
from shared.messages.facts import DATA_DECODERS, ID_LENGTH, INBOUND, Data, DemandRaised, EquipmentState

FUTURE = timedelta(minutes=5)
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_sorted = msgspec.json.Encoder(order="sorted")


class IncomingEvent(Struct, frozen=True, kw_only=True):
    """A checked event that may be accepted; `digest` is the same where one of the same name says the same."""

    source: str
    id: str
    type: str
    time: datetime
    data: Data
    digest: bytes
    by: str

    @property
    def name(self) -> tuple[str, str]:
        """What names the event for ever."""
        return self.source, self.id

    @property
    def is_demand(self) -> bool:
        """Whether it opens a case."""
        return isinstance(self.data, DemandRaised)


class Envelope(Struct, frozen=True, kw_only=True):
    """A CloudEvent in structured mode; extension attributes are let through and ignored."""

    specversion: str
    id: Annotated[str, Meta(min_length=1, max_length=256)]
    source: Annotated[str, Meta(min_length=1, max_length=256)]
    type: Annotated[str, Meta(min_length=1, max_length=256)]
    time: Annotated[datetime, Meta(tz=True)] | None = None
    subject: str | None = None
    datacontenttype: str | None = None
    dataschema: str | None = None
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    data_base64: str | None = None


def read_event(envelope: Envelope, *, by: str, now: datetime, properties: Collection[str]) -> IncomingEvent:
    """The offer in `envelope`. Raises `InvalidInput` naming each wrong field."""
    _check_attributes(envelope)
    decoder = DATA_DECODERS[envelope.type]
    try:
        data = decoder.decode(_payload(envelope))
    except msgspec.ValidationError as error:
        raise InvalidInput(errors=[field_error(error, "data")]) from None
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise InvalidInput.of("data", "This is not valid JSON", "不是有效的 JSON") from None
    return make_event(envelope.source, envelope.id, envelope.type, envelope.time, data, by=by, now=now,
                      properties=properties)  # fmt: skip


def _check_attributes(envelope: Envelope) -> None:
    errors = []
    if envelope.specversion != "1.0":
        errors.append(FieldError("specversion", "Only 1.0 is understood", "仅支持 1.0"))
    if envelope.type not in INBOUND:
        errors.append(FieldError("type", "This event type is not known here", "未知的事件类型"))
    kind = (envelope.datacontenttype or "application/json").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        errors.append(FieldError("datacontenttype", "Data must be JSON", "数据必须为 JSON"))
    if errors:
        raise InvalidInput(errors=errors)


def _payload(envelope: Envelope) -> bytes | msgspec.Raw:
    if envelope.data is not msgspec.UNSET:
        return envelope.data
    if envelope.data_base64 is None:
        raise InvalidInput.of("data", "This field is required", "缺少必填字段")
    try:
        return b64decode(envelope.data_base64, validate=True)
    except (Base64Error, ValueError):
        raise InvalidInput.of("data_base64", "This is not base64", "不是有效的 base64") from None


def make_event(
    source: str, id_: str, type_: str, time: datetime | None, data: Data, *, by: str, now: datetime,
    properties: Collection[str],
) -> IncomingEvent:  # fmt: skip
    """An offer of checked parts. Raises `InvalidInput` for an unknown property or an impossible time."""
    if data.property not in properties:
        raise InvalidInput.of("data.property", "There is no such property", "物业项目不存在")
    if time is not None and time > now + FUTURE:
        raise InvalidInput.of("time", "This lies in the future", "时间在未来")
    if time is not None and time < EARLIEST:
        raise InvalidInput.of("time", "This lies before 1970", "时间早于 1970 年")
    told = [type_, data] if time is None else [type_, data, time.astimezone(UTC)]
    return IncomingEvent(
        source=source,
        id=id_,
        type=type_,
        time=(time or now).astimezone(UTC),
        data=data,
        digest=hashlib.sha256(_sorted.encode(told)).digest(),
        by=by,
    )


class Alert(Protocol):
    """What is needed of an alert of Alertmanager."""

    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    startsAt: datetime
    endsAt: datetime
    fingerprint: str


def read_alert(alert: Alert, property_id: str) -> tuple[str, datetime, EquipmentState]:
    """An alert's event id, time and data: firing is a faulty state with alarm, resolved an intact one.

    The same alert is told again and again while it lasts: fingerprint, start and status name it.
    """
    firing = alert.status == "firing"
    equipment = alert.labels.get("equipment") or alert.labels.get("alertname") or alert.fingerprint
    id_ = f"{alert.fingerprint}:{alert.startsAt.astimezone(UTC).isoformat()}:{alert.status}"
    state = EquipmentState(
        property=property_id,
        equipment=equipment[:ID_LENGTH],
        state="faulty" if firing else "intact",
        alarm=firing,
    )
    return id_, alert.startsAt if firing else alert.endsAt, state
