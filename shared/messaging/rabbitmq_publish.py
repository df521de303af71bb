"""Publishes many messages in one write, with one wait for the broker's confirms.

The client library makes half a dozen objects and a task of every message, which costs ten times what the
message does. Here frames are put together as AMQP 0-9-1 lays them down (4.2.3, 4.2.6), with the library's own
numbering and confirms: `channel` is aiormq's, and what is touched of it is what its `basic_publish` touches.
"""

import asyncio
from collections.abc import Sequence
from functools import lru_cache
from itertools import count
from secrets import token_hex
from struct import pack
from typing import cast

from aiormq import Channel
from aiormq.abc import ChannelFrame
from aiormq.exceptions import DeliveryError
from pamqp.base import Frame
from pamqp.commands import Basic

from shared.messages.registry import PUBLIC_EXCHANGE
from shared.messaging.bus import Message
from shared.messaging.topology import INTERNAL_EXCHANGE

_METHOD, _HEADER, _BODY, _END = 1, 2, 3, b"\xce"
_PACKED, _SINGLE = b"application/cloudevents-batch+json", b"application/cloudevents+json"
_CONTENT_TYPE, _DELIVERY_MODE, _MESSAGE_ID = 0x8000, 0x1000, 0x0080
_PERSISTENT = 2
_PROCESS = token_hex(8)
_numbers = count()

Outcome = BaseException | None
"""Why a message was not taken; None where it was."""


async def publish_all(channel: Channel, messages: Sequence[Message]) -> list[Outcome]:
    """Publish `messages` and wait for the confirm of each."""
    confirms = await _write_all(channel, messages)
    await asyncio.wait(confirms)
    return [_outcome_of(confirm) for confirm in confirms]


def _outcome_of(confirm: "asyncio.Future[object]") -> Outcome:
    if confirm.cancelled():
        return ConnectionError("the channel was closed")
    if error := confirm.exception():
        return error
    frame = cast(Frame, confirm.result())
    return None if isinstance(frame, Basic.Ack) else DeliveryError(None, frame)


async def _write_all(channel: Channel, messages: Sequence[Message]) -> list["asyncio.Future[object]"]:
    """A future for the confirm of each message, all of which are written."""
    names = [f"{_PROCESS}-{next(_numbers)}" for _ in messages]
    frames = [
        part
        for name, message in zip(names, messages, strict=True)
        for part in _make_frames(channel, message, name.encode())
    ]
    drained = channel.create_future()
    async with channel.lock:
        first = channel.delivery_tag + 1
        confirms = [_expect_confirm(channel, name) for name in names]
        try:
            await channel.write_queue.put(ChannelFrame(b"".join(frames), False, drained))
        except BaseException:  # the broker has not seen them: their numbers are given again
            channel.delivery_tag = first - 1
            for number, name in enumerate(names, first):
                channel.confirmations.pop(number, None)
                channel.message_id_delivery_tag.pop(name, None)
            for confirm in (*confirms, drained):
                confirm.cancel()
            raise
        await drained
    return confirms


def _expect_confirm(channel: Channel, name: str) -> "asyncio.Future[object]":
    channel.delivery_tag += 1
    confirm: asyncio.Future[object] = channel.create_future()
    channel.confirmations[channel.delivery_tag] = confirm
    channel.message_id_delivery_tag[name] = channel.delivery_tag
    confirm.add_done_callback(lambda _: channel.message_id_delivery_tag.pop(name, None))
    return confirm


def _make_frames(channel: Channel, message: Message, name: bytes) -> list[bytes]:
    """The message as frames: method, header, and as many of its body as it needs."""
    body, kind = message.body, _PACKED if message.packed else _SINGLE
    properties = b"%c%b%c%c%b" % (len(kind), kind, _PERSISTENT, len(name), name)
    flags = _CONTENT_TYPE | _DELIVERY_MODE | _MESSAGE_ID
    header = pack(">HHQH", 60, 0, len(body), flags) + properties
    frames = [_method_frame(channel.number, message.key, message.public)]
    frames.append(_frame(_HEADER, channel.number, header))
    size = channel.max_content_size
    frames += (
        _frame(_BODY, channel.number, body[start : start + size]) for start in range(0, len(body), size)
    )
    return frames


@lru_cache(maxsize=256)
def _method_frame(channel: int, key: str, public: bool) -> bytes:
    """Basic.Publish; a message for ourselves is mandatory: it comes back where no queue takes it."""
    exchange, route = (PUBLIC_EXCHANGE if public else INTERNAL_EXCHANGE).encode(), key.encode()
    names = b"%c%b%c%b" % (len(exchange), exchange, len(route), route)
    return _frame(_METHOD, channel, pack(">HHH", 60, 40, 0) + names + pack(">B", not public))


def _frame(kind: int, channel: int, payload: bytes) -> bytes:
    return pack(">BHI", kind, channel, len(payload)) + payload + _END
