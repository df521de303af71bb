"""Packs events into messages: for our own services many that the same queues hear, for others one each."""

from collections.abc import Iterator, Sequence

from shared.messages.registry import PUBLIC
from shared.messaging.bus import Message
from shared.messaging.outbox import OutgoingEvent, Publication
from shared.messaging.topology import SUBSCRIBERS

_MAX_PACK_EVENTS = 100
_MAX_PACK_BYTES = 256 * 1024


def pack_messages(publications: Sequence[Publication]) -> Iterator[tuple[Message, set[int]]]:
    """The events, in order, as messages with the transactions in each: for our own services packed by their
    subscribers, whatever their types, for others one each.
    """
    events = [(xid, event) for xid, members, _ in publications for event in members]
    by_subscribers: dict[tuple[str, ...], list[tuple[int, OutgoingEvent]]] = {}
    for member in events:
        if member[1].type in SUBSCRIBERS:
            by_subscribers.setdefault(SUBSCRIBERS[member[1].type], []).append(member)
    for members in by_subscribers.values():
        for chunk in _chunks(members):
            body = b"[" + b",".join(event.body for _, event in chunk) + b"]"
            yield Message(key=chunk[0][1].type, body=body, packed=True), {xid for xid, _ in chunk}
    for xid, event in events:
        if event.type in PUBLIC:
            yield Message(key=event.type, body=event.body, packed=False, public=True), {xid}


def _chunks(members: Sequence[tuple[int, OutgoingEvent]]) -> Iterator[list[tuple[int, OutgoingEvent]]]:
    chunk: list[tuple[int, OutgoingEvent]] = []
    size = 0
    for member in members:
        length = len(member[1].body)
        if chunk and (len(chunk) == _MAX_PACK_EVENTS or size + length > _MAX_PACK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(member)
        size += length
    if chunk:
        yield chunk
