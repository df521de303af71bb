"""An incoming event, decoded and checked; pure, so that HTTP and AMQP check alike."""

import hashlib
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from shared.errors import FieldError, InvalidInput, Unreadable
from shared.http.json_input import convert, read_json
from shared.ids import new_id
from shared.messages.facts import INBOUND, Data, DemandRaised, Id, Instant
from shared.messages.kinds import KindCatalog

FUTURE = timedelta(minutes=5)
"""How far a sender's clock may run ahead."""
Type = Annotated[str, Meta(min_length=1, max_length=200)]
_sorted = msgspec.json.Encoder(order="sorted")


class IncomingEvent(Struct, frozen=True, kw_only=True):
    """A checked event that may be accepted: `source` and `id` name it for ever, the key named `by` posted it.

    `body` is the data as JSON, `digest` the same for one of the same name and content. `demand` is the
    identifier that its demand gets if it is new, None where it raises none; `trace` the `traceparent` that it
    came with.
    """

    source: str
    id: str
    type: str
    time: datetime
    data: Data
    body: bytes
    digest: bytes
    by: str
    demand: str | None = None
    trace: str | None = None

    @property
    def name(self) -> tuple[str, str]:
        """What names the event for ever."""
        return self.source, self.id


class Envelope(Struct, frozen=True, kw_only=True):
    """A CloudEvent in structured mode; extension attributes are let through and ignored."""

    specversion: str
    id: Id
    source: Id
    type: Type
    time: Instant | None = None
    subject: str | None = None
    datacontenttype: str | None = None
    dataschema: str | None = None
    data: Any = msgspec.UNSET
    data_base64: str | None = None


class EventContext(Struct, frozen=True, kw_only=True):
    """Who posts an event, when, within which trace; and the configured properties and kinds."""

    by: str
    now: datetime
    properties: Collection[str]
    kinds: KindCatalog
    trace: str | None = None


def read_event(envelope: Envelope, context: EventContext) -> IncomingEvent:
    """The event in `envelope`. Raises `InvalidInput` naming each wrong field."""
    _check_attributes(envelope)
    data = convert(_read_data(envelope), INBOUND[envelope.type], "data")
    return make_event(envelope.source, envelope.id, envelope.type, envelope.time, data, context)


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


def _read_data(envelope: Envelope) -> object:
    """The data; base64 was not decoded with the envelope, and is checked as strictly here."""
    if envelope.data is not msgspec.UNSET:
        return envelope.data
    if envelope.data_base64 is None:
        raise InvalidInput.of("data", "This field is required", "缺少必填字段")
    try:
        return read_json(b64decode(envelope.data_base64, validate=True))
    except (Base64Error, ValueError):
        raise InvalidInput.of("data_base64", "This is not base64", "不是有效的 base64") from None
    except Unreadable:
        raise InvalidInput.of("data", "This is not valid JSON", "不是有效的 JSON") from None


def make_event(
    source: str, id_: str, type_: str, time: datetime | None, data: Data, context: EventContext
) -> IncomingEvent:
    """An event of checked parts. Raises `InvalidInput` for an unknown property, a time in the future, an
    unknown kind of demand, and details that are not what the kind asks for.
    """
    if data.property not in context.properties:
        raise InvalidInput.of("data.property", "There is no such property", "物业项目不存在")
    if time is not None and time > context.now + FUTURE:
        raise InvalidInput.of("time", "This lies in the future", "时间在未来")
    if isinstance(data, DemandRaised):
        context.kinds.check_demand(data.kind, data.details)
    content = [type_, data] if time is None else [type_, data, time.astimezone(UTC)]
    return IncomingEvent(
        source=source,
        id=id_,
        type=type_,
        time=(time or context.now).astimezone(UTC),
        data=data,
        body=msgspec.json.encode(data),
        digest=hashlib.sha256(_sorted.encode(content)).digest(),
        by=context.by,
        demand=new_id() if isinstance(data, DemandRaised) else None,
        trace=context.trace,
    )
