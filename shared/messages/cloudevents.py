"""Our events as CloudEvents 1.0 JSON: one object, or an array of them."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Generic

import msgspec
from msgspec import Struct
from typing_extensions import TypeVar

from shared.ids import new_id
from shared.messages.registry import EVENT_TYPES, TYPES

Data = TypeVar("Data", bound=Struct, default=Any)
Other = TypeVar("Other", bound=Struct)


class Event(Struct, Generic[Data], frozen=True, kw_only=True):
    """Something that happened at `time`: `source` and `id` name it for ever, `data` is typed."""

    source: str
    id: str
    type: str
    time: datetime
    data: Data
    trace: str | None = None

    @classmethod
    def of(
        cls, data: Data, *, source: str, time: datetime, id: str | None = None, trace: str | None = None
    ) -> "Event[Data]":
        """A new event around `data`; its type follows from the class of `data`."""
        return cls(
            source=source,
            id=id or new_id(),
            type=EVENT_TYPES[type(data)],
            time=time,
            data=data,
            trace=trace,
        )


class _Wire(Struct, kw_only=True, omit_defaults=True):
    id: str
    source: str
    type: str
    time: datetime
    data: Struct
    traceparent: str | None = None


class _Envelope(Struct, frozen=True, kw_only=True):
    specversion: str
    id: str
    source: str
    type: str
    time: datetime
    data: msgspec.Raw
    traceparent: str | None = None


_encoder = msgspec.json.Encoder()
_one = msgspec.json.Decoder(_Envelope)
_many = msgspec.json.Decoder(list[_Envelope])
_members = msgspec.json.Decoder(list[msgspec.Raw])
_data = {name: msgspec.json.Decoder(schema) for name, schema in TYPES.items()}
_HEAD = b'{"specversion":"1.0","datacontenttype":"application/json",'


def encode(event: Event) -> bytes:
    """`event` as a CloudEvents JSON object."""
    wire = _Wire(
        id=event.id,
        source=event.source,
        type=event.type,
        time=event.time,
        data=event.data,
        traceparent=event.trace,
    )
    return _HEAD + _encoder.encode(wire)[1:]


def decode(body: bytes | str) -> Event:
    """One of our own events. Raises `msgspec.ValidationError` or `DecodeError`."""
    return _decode_data(_one.decode(body))


def decode_batch(body: bytes | str) -> list[Event]:
    """An array of our own events."""
    return [_decode_data(envelope) for envelope in _many.decode(body)]


def decode_events(body: bytes) -> Sequence[Event]:
    """The events of a message, a batch or a single one."""
    return decode_batch(body) if body[:1] == b"[" else [decode(body)]


def split_batch(body: bytes) -> list[bytes]:
    """The members of the batch in `body`, not decoded. Raises `msgspec.DecodeError`."""
    return [bytes(raw) for raw in _members.decode(body)] if body[:1] == b"[" else [body]


def select_events(events: Iterable[Event], data: type[Other]) -> list[Event[Other]]:
    """Those of `events` whose data is a `data`, in their order."""
    return [event for event in events if isinstance(event.data, data)]


def _decode_data(envelope: _Envelope) -> Event:
    decoder = _data.get(envelope.type)
    if decoder is None:
        raise msgspec.ValidationError("Unknown event type - at `$.type`")
    return Event(
        source=envelope.source,
        id=envelope.id,
        type=envelope.type,
        time=envelope.time,
        data=decoder.decode(envelope.data),
        trace=envelope.traceparent,
    )
