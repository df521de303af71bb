"""A TCP proxy that fails on demand, between a service and its broker, database or caller.

    async with FaultProxy("127.0.0.1", 5432) as proxy:
        ... connect to proxy.port ...
        proxy.lose_answer(b"COMMIT")

Directions are UP (client to server) and DOWN (server to client). Bytes are passed unchanged.
"""

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal

Direction = Literal["up", "down"]
UP: Direction = "up"
DOWN: Direction = "down"


@dataclass
class Fault:
    """What is wrong with one direction now."""

    flowing: asyncio.Event = field(default_factory=asyncio.Event)
    delay: float = 0.0
    piece: int = 65_536

    def __post_init__(self) -> None:
        self.flowing.set()


@dataclass
class Trap:
    """Bytes on their way up that spring a fault once: before they reach the server, or on their answer."""

    text: bytes
    pass_on: bool


class Link:
    """One proxied connection."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.client, self.server = client, server
        self.deaf: set[Direction] = set()  # what arrives in these directions is thrown away
        self.pumps: list[asyncio.Task[None]] = []
        self.seen = b""

    def reset(self) -> None:
        """Both peers get a reset: a crash, not a goodbye."""
        for side in (self.client, self.server):
            _reset(side)
        for pump in self.pumps:
            pump.cancel()


class FaultProxy:
    """Listens on a free port of 127.0.0.1 and passes every connection on to `host`:`port`."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.target = host, port
        self.faults: dict[Direction, Fault] = {UP: Fault(), DOWN: Fault()}
        self.links: set[Link] = set()
        self.trap: Trap | None = None
        self.sprung = 0
        self.port = 0
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> "FaultProxy":
        await self.listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.refuse()

    async def listen(self) -> None:
        """Accept connections, after `refuse` on the same port as before."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        """Reset what is connected and accept nobody."""
        if self._server:
            self._server.close()
            self.cut()
            await self._server.wait_closed()
            self._server = None

    def cut(self) -> None:
        """Reset every connection now; new ones are accepted."""
        for link in list(self.links):
            link.reset()

    def stall(self, *directions: Direction) -> None:
        """Pass nothing in these directions (both when none is named) and tell nobody."""
        for direction in directions or (UP, DOWN):
            self.faults[direction].flowing.clear()

    def flow(self) -> None:
        """End stalls, delays and slicing; connections stay."""
        for fault in self.faults.values():
            fault.delay, fault.piece = 0.0, 65_536
            fault.flowing.set()

    def delay(self, seconds: float) -> None:
        """Hold every piece back that long, both ways."""
        for fault in self.faults.values():
            fault.delay = seconds

    def slice(self, size: int) -> None:
        """Forward at most `size` bytes at a time, both ways."""
        for fault in self.faults.values():
            fault.piece = size

    def half_open(self, believer: Literal["client", "server"]) -> None:
        """The believer keeps a connection that is silent for ever; the other end of it is reset."""
        for link in self.links:
            link.deaf = {UP, DOWN}
            _reset(link.server if believer == "client" else link.client)

    def lose_answer(self, text: bytes) -> None:
        """The next bytes up that hold `text` arrive, their answer does not: an outcome nobody knows."""
        self.trap = Trap(text, pass_on=True)

    def lose_request(self, text: bytes) -> None:
        """The next bytes up that hold `text` never arrive, and the connection is reset."""
        self.trap = Trap(text, pass_on=False)

    async def _serve(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        try:
            there, server = await asyncio.open_connection(self.host, self.target)
        except OSError:
            _reset(client)
            return
        link = Link(client, server)
        link.pumps = [
            asyncio.create_task(self._pump(link, UP, reader, server)),
            asyncio.create_task(self._pump(link, DOWN, there, client)),
        ]
        self.links.add(link)
        try:
            await asyncio.wait(link.pumps)
        finally:
            self.links.discard(link)
            link.reset()

    async def _pump(
        self, link: Link, direction: Direction, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        fault = self.faults[direction]
        try:
            while data := await reader.read(65_536):
                for start in range(0, len(data), fault.piece):
                    await asyncio.sleep(fault.delay)
                    await fault.flowing.wait()
                    await self._forward(link, direction, data[start : start + fault.piece], writer)
            if not link.deaf and writer.can_write_eof():
                writer.write_eof()
        except OSError:
            if not link.deaf:
                link.reset()

    async def _forward(
        self, link: Link, direction: Direction, data: bytes, writer: asyncio.StreamWriter
    ) -> None:
        caught = self._springs(link, data) if direction == UP else None
        if caught and not caught.pass_on:
            link.reset()
        elif direction not in link.deaf:
            if caught:
                link.deaf.add(DOWN)
                asyncio.get_running_loop().call_later(0.2, link.reset)  # time enough for it to take effect
            writer.write(data)
            await writer.drain()

    def _springs(self, link: Link, data: bytes) -> Trap | None:
        """The trap, if these bytes, or they and those just before, hold its text; it springs once."""
        trap, seen = self.trap, link.seen + data
        link.seen = seen[-64:]
        if trap is None or trap.text not in seen:
            return None
        self.trap, self.sprung = None, self.sprung + 1
        return trap


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close so that the peer is told of a reset."""
    raw = writer.get_extra_info("socket")
    if raw is not None:
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
