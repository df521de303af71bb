"""A stream of events ends with either side, and what makes the events is closed each time."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from starlette.types import Message, Scope

from shared.http.event_stream import EventStream

SCOPE: Scope = {"type": "http"}


class Client:
    """The other side: gets what is sent, and leaves when `leaves` is set."""

    def __init__(self) -> None:
        self.got: list[Message] = []
        self.leaves = asyncio.Event()
        self.came = asyncio.Event()

    async def receive(self) -> Message:
        await self.leaves.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.got.append(message)
        self.came.set()


class Events:
    """Events one by one; then, if `goes_on`, nothing for ever. `closed` when nobody asks any more."""

    def __init__(self, *parts: bytes, goes_on: bool = False) -> None:
        self.parts, self.goes_on, self.closed = parts, goes_on, False

    async def tell(self) -> AsyncGenerator[bytes, None]:
        try:
            for part in self.parts:
                yield part
            if self.goes_on:
                await asyncio.Event().wait()
        finally:
            self.closed = True


async def test_all_events_go_out_under_the_headers_of_a_stream() -> None:
    client, events = Client(), Events(b"a", b"b")
    await EventStream(events.tell())(SCOPE, client.receive, client.send)
    start, *parts = client.got
    headers = dict(start["headers"])
    assert headers[b"content-type"].startswith(b"text/event-stream")
    assert headers[b"cache-control"] == b"no-store"
    assert b"content-length" not in headers
    assert [part["body"] for part in parts] == [b"a", b"b", b""]
    assert [part["more_body"] for part in parts] == [True, True, False]
    assert events.closed


async def test_when_the_other_side_leaves_the_events_are_closed() -> None:
    client, events = Client(), Events(b"a", goes_on=True)
    streaming = asyncio.create_task(EventStream(events.tell())(SCOPE, client.receive, client.send))
    await client.came.wait()
    client.leaves.set()
    await asyncio.wait_for(streaming, 5)
    assert events.closed


async def test_when_the_server_stops_the_events_are_closed() -> None:
    client, events = Client(), Events(goes_on=True)
    streaming = asyncio.create_task(EventStream(events.tell())(SCOPE, client.receive, client.send))
    await client.came.wait()
    streaming.cancel()
    with pytest.raises(asyncio.CancelledError):
        await streaming
    assert events.closed


async def test_an_error_while_events_are_made_is_the_servers_to_know() -> None:
    async def fail() -> AsyncGenerator[bytes, None]:
        yield b"a"
        raise RuntimeError

    client = Client()
    with pytest.raises(RuntimeError):
        await EventStream(fail())(SCOPE, client.receive, client.send)
