"""Watchers of the stream of cases that cost next to nothing: a socket each, and when which event came."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import cast

import msgspec

from tests.support.processes import KEY

_REQUEST = f"GET /v1/cases/stream HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {KEY}\r\n\r\n".encode()


class _Case(msgspec.Struct):
    id: str


class _Entry(msgspec.Struct):
    to: str


class _Notice(msgspec.Struct):
    case: _Case
    entry: _Entry


_decoder = msgspec.json.Decoder(_Notice)


class Watcher(asyncio.Protocol):
    """One that watches: `came_at` is when each event came, by its name in the stream."""

    def __init__(self) -> None:
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.came_at: dict[bytes, float] = {}
        self.names: dict[tuple[str, str], bytes] | None = None
        """Of one that reads what it is told: the event's name by the case and the state it came to."""
        self._rest = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(_REQUEST)

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if line.startswith(b"id: "):
                self._last = line
                self.came_at.setdefault(line, now)
            elif line.startswith(b"data: ") and self.names is not None:
                notice = _decoder.decode(line[6:])
                self.names[notice.case.id, notice.entry.to] = self._last
            elif line.startswith(b"retry:") and not self.opened.done():
                self.opened.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(exc or ConnectionError("no stream"))

    def close(self) -> None:
        """Watch no more."""
        if self._transport:
            self._transport.close()


@contextlib.asynccontextmanager
async def watch_stream(port: int, count: int) -> AsyncIterator[list[Watcher]]:
    """So many watchers while inside; the first reads what it is told."""
    loop, watchers = asyncio.get_running_loop(), list[Watcher]()
    try:
        for _ in range(count):
            watchers.append((await loop.create_connection(Watcher, "127.0.0.1", port))[1])
        watchers[0].names = {}
        async with asyncio.timeout(30):
            await asyncio.gather(*(watcher.opened for watcher in watchers))
        yield watchers
    finally:
        for watcher in watchers:
            watcher.close()
