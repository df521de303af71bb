"""HTTP over raw keep-alive connections and a stream of events: too cheap to be what is measured."""

import asyncio
from collections.abc import AsyncIterator
from typing import cast

from tests.support.processes import KEY

_HEADERS = f"Host: bench\r\nAuthorization: Bearer {KEY}\r\n"


class HttpConnection(asyncio.Protocol):
    """One connection; one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._reply: asyncio.Future[tuple[int, bytes]] | None = None

    @classmethod
    async def open(cls, port: int) -> "HttpConnection":
        """Connected to a port of 127.0.0.1."""
        return (await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port))[1]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by class

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        if not separator or len(body) < _content_length(head):
            return
        self._received = b""
        if self._reply and not self._reply.done():
            self._reply.set_result((int(head[9:12]), body))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._reply and not self._reply.done():
            self._reply.set_exception(exc or ConnectionError("closed before the answer"))

    async def post(self, path: str, body: bytes, key: str = "") -> bytes:
        """The body of the answer; `key` is an Idempotency-Key. RuntimeError where it is not a 2xx."""
        return await self._send_request(path, _format_request(path, body, key))

    async def get(self, path: str) -> bytes:
        """The body of the answer. RuntimeError where it is not a 2xx."""
        return await self._send_request(path, f"GET {path} HTTP/1.1\r\n{_HEADERS}\r\n".encode())

    async def _send_request(self, path: str, request: bytes) -> bytes:
        assert self._transport
        self._reply = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        status, body = await self._reply
        if not 200 <= status < 300:
            raise RuntimeError(f"{path}: {status} {body[:500].decode(errors='replace')}")
        return body

    def close(self) -> None:
        """Hang up."""
        if self._transport:
            self._transport.close()


def _content_length(head: bytes) -> int:
    return int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])


def _format_request(path: str, body: bytes, key: str) -> bytes:
    once = f"Idempotency-Key: {key}\r\n" if key else ""
    batch = "cloudevents-batch+" if body[:1] == b"[" else ""
    head = f"POST {path} HTTP/1.1\r\n{_HEADERS}Content-Type: application/{batch}json\r\n{once}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def stream_events(port: int, path: str) -> AsyncIterator[bytes]:
    """The `data` of each server-sent event at `path`; the first, empty, once the stream is open."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    writer.write(f"GET {path} HTTP/1.1\r\n{_HEADERS}\r\n".encode())
    try:
        if not (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"no stream at {path}")
        await reader.readuntil(b"retry:")
        yield b""
        while line := await reader.readline():
            if line.startswith(b"data: "):
                yield line[6:]
    finally:
        writer.close()
