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
    chunk_size: int = 65_536

    def __post_init__(self) -> None:
        self.flowing.set()


@dataclass
class Trigger:
    """Bytes on their way up that spring a fault once: before they reach the server, or on their answer."""

    text: bytes
    forward: bool


class ProxiedConnection:
    """One proxied connection."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.client, self.server = client, server
        self.discarded: set[Direction] = set()  # what arrives in these directions is thrown away
        self.pump_tasks: list[asyncio.Task[None]] = []
        self.recent_bytes = b""

    def reset(self) -> None:
        """Both peers get a reset: a crash, not a goodbye."""
        for side in (self.client, self.server):
            _reset(side)
        for pump in self.pump_tasks:
            pump.cancel()


class FaultProxy:
    """Listens on a free port of 127.0.0.1 and passes every connection on to `host`:`port`."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.target = host, port
        self.faults: dict[Direction, Fault] = {UP: Fault(), DOWN: Fault()}
        self.connections: set[ProxiedConnection] = set()
        self.trigger: Trigger | None = None
        self.triggered = 0
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
        for connection in list(self.connections):
            connection.reset()

    def stall(self, *directions: Direction) -> None:
        """Pass nothing in these directions (both when none is named) and tell nobody."""
        for direction in directions or (UP, DOWN):
            self.faults[direction].flowing.clear()

    def resume_flow(self) -> None:
        """End stalls, delays and slicing; connections stay."""
        for fault in self.faults.values():
            fault.delay, fault.chunk_size = 0.0, 65_536
            fault.flowing.set()

    def delay(self, seconds: float) -> None:
        """Hold every piece back that long, both ways."""
        for fault in self.faults.values():
            fault.delay = seconds

    def slice(self, size: int) -> None:
        """Forward at most `size` bytes at a time, both ways."""
        for fault in self.faults.values():
            fault.chunk_size = size

    def half_open(self, believer: Literal["client", "server"]) -> None:
        """The believer keeps a connection that is silent for ever; the other end of it is reset."""
        for connection in self.connections:
            connection.discarded = {UP, DOWN}
            _reset(connection.server if believer == "client" else connection.client)

    def lose_reply(self, text: bytes) -> None:
        """The next bytes up that hold `text` arrive, their answer does not: an outcome nobody knows."""
        self.trigger = Trigger(text, forward=True)

    def lose_request(self, text: bytes) -> None:
        """The next bytes up that hold `text` never arrive, and the connection is reset."""
        self.trigger = Trigger(text, forward=False)

    async def _serve(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        try:
            server_reader, server = await asyncio.open_connection(self.host, self.target)
        except OSError:
            _reset(client)
            return
        connection = ProxiedConnection(client, server)
        connection.pump_tasks = [
            asyncio.create_task(self._pump(connection, UP, reader, server)),
            asyncio.create_task(self._pump(connection, DOWN, server_reader, client)),
        ]
        self.connections.add(connection)
        try:
            await asyncio.wait(connection.pump_tasks)
        finally:
            self.connections.discard(connection)
            connection.reset()

    async def _pump(
        self,
        connection: ProxiedConnection,
        direction: Direction,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        fault = self.faults[direction]
        try:
            while data := await reader.read(65_536):
                for start in range(0, len(data), fault.chunk_size):
                    await asyncio.sleep(fault.delay)
                    await fault.flowing.wait()
                    await self._forward(connection, direction, data[start : start + fault.chunk_size], writer)
            if not connection.discarded and writer.can_write_eof():
                writer.write_eof()
        except OSError:
            if not connection.discarded:
                connection.reset()

    async def _forward(
        self, connection: ProxiedConnection, direction: Direction, data: bytes, writer: asyncio.StreamWriter
    ) -> None:
        triggered = self._check_trigger(connection, data) if direction == UP else None
        if triggered and not triggered.forward:
            connection.reset()
        elif direction not in connection.discarded:
            if triggered:
                connection.discarded.add(DOWN)
                asyncio.get_running_loop().call_later(0.2, connection.reset)
            writer.write(data)
            await writer.drain()

    def _check_trigger(self, connection: ProxiedConnection, data: bytes) -> Trigger | None:
        """The trap, if these bytes, or they and those just before, hold its text; it springs once."""
        trigger, recent_bytes = self.trigger, connection.recent_bytes + data
        connection.recent_bytes = recent_bytes[-64:]
        if trigger is None or trigger.text not in recent_bytes:
            return None
        self.trigger, self.triggered = None, self.triggered + 1
        return trigger


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close so that the peer is told of a reset."""
    peer = writer.get_extra_info("socket")
    if peer is not None:
        with contextlib.suppress(OSError):
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
