"""Over real connections: bodies are read however they arrive, and replies are framed as HTTP asks for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvicorn
from msgspec import Struct

from shared.auth import Keyring, Secret
from shared.http.authentication import Authenticator
from shared.http.endpoints import Call, Endpoints, Reply
from shared.http.router import Router
from tests.support.waiting import eventually

endpoints = Endpoints()


class Size(Struct):
    """How many bytes came."""

    bytes: int


@endpoints.add("POST", "/size", roles=None, summary=("大小", "Size"), body_limit=300_000)
async def post_size(call: Call[None, None, bytes]) -> Size:
    return Size(len(call.body))


@endpoints.add("DELETE", "/size/{id}", roles=None, summary=("无", "Nothing"), status=204)
async def delete_size(call: Call[None, None, None]) -> None:
    return None


@endpoints.add("GET", "/size", roles=None, summary=("头", "Headers"))
async def get_size(call: Call[None, None, None]) -> Reply[Size]:
    return Reply(Size(0), headers={"ETag": '"1"'})


class Connection:
    """A connection to the server, byte by byte."""

    def __init__(
        self, server: uvicorn.Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._server, self.reader, self._writer = server, reader, writer

    async def send(self, *parts: bytes) -> None:
        """Send `parts`, each once the server works on those before."""
        self._writer.write(parts[0])
        for part in parts[1:]:
            await eventually(self._is_served)
            self._writer.write(part)
        await self._writer.drain()

    async def _is_served(self) -> bool:
        return bool(self._server.server_state.tasks)

    async def reply(self) -> tuple[int, dict[str, str], bytes]:
        """The next reply: status, headers, body."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {line.partition(": ")[0]: line.partition(": ")[2] for line in head[1:] if line}
        body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return int(head[0].split()[1]), headers, body


@asynccontextmanager
async def connect(folder: Path) -> AsyncIterator[Connection]:
    """A connection to a server of the endpoints above, as the product configures it."""
    router = Router(Authenticator(Keyring(Secret("", folder))))
    router.add(None, endpoints)
    server = uvicorn.Server(uvicorn.Config(router, port=0, http="httptools", lifespan="off", log_config=None))
    config = server.config
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    try:
        reader, writer = await asyncio.open_connection(*server.servers[0].sockets[0].getsockname())
        yield Connection(server, reader, writer)
        writer.close()
    finally:
        await server.shutdown()


def head(*headers: str, line: str = "POST /size") -> bytes:
    return "\r\n".join([f"{line} HTTP/1.1", "Host: test", *headers, "", ""]).encode()


@pytest.mark.parametrize(
    "parts",
    [
        [head("Content-Length: 5") + b"12345"],
        [head("Content-Length: 5"), b"12345"],
        [head("Content-Length: 5"), b"1", b"23", b"45"],
        [head("Content-Length: 5") + b"12", b"345"],
        [head("Transfer-Encoding: chunked"), b"2\r\n12\r\n", b"3\r\n345\r\n0\r\n\r\n"],
    ],
    ids=["with the head", "after it", "in parts", "half with it", "chunked"],
)
async def test_a_body_is_read_however_it_arrives(tmp_path: Path, parts: list[bytes]) -> None:
    async with connect(tmp_path) as connection:
        for _ in range(2):
            await connection.send(*parts)
            status, _, body = await connection.reply()
            assert (status, body) == (200, b'{"bytes":5}')


async def test_who_asks_first_is_told_to_go_on(tmp_path: Path) -> None:
    async with connect(tmp_path) as connection:
        await connection.send(head("Content-Length: 5", "Expect: 100-continue"))
        assert (await connection.reply())[0] == 100
        await connection.send(b"12345")
        assert (await connection.reply())[2] == b'{"bytes":5}'


async def test_a_large_body_is_read_whole_and_a_larger_one_refused(tmp_path: Path) -> None:
    async with connect(tmp_path) as connection:
        await connection.send(head("Content-Length: 300000"), b"x" * 300_000)
        assert (await connection.reply())[2] == b'{"bytes":300000}'
        await connection.send(head("Content-Length: 300001"))
        assert (await connection.reply())[0] == 413


@pytest.mark.parametrize("arrived", [b"", b"12"])
async def test_a_body_that_does_not_come_in_time_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arrived: bytes
) -> None:
    monkeypatch.setattr("shared.http.requests.BODY_SECONDS", 0.05)
    async with connect(tmp_path) as connection:
        await connection.send(head("Content-Length: 5") + arrived)
        assert (await connection.reply())[0] == 400


async def test_replies_are_framed_as_http_asks(tmp_path: Path) -> None:
    async with connect(tmp_path) as connection:
        await connection.send(head(line="DELETE /size/1"))
        status, headers, _ = await connection.reply()
        assert status == 204
        assert not {"content-length", "content-type"} & headers.keys()
        await connection.send(head(line="GET /size"))
        status, headers, body = await connection.reply()
        assert (headers["etag"], headers["content-type"], body) == ('"1"', "application/json", b'{"bytes":0}')
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["traceparent"].startswith("00-")
        await connection.send(head(line="PATCH /size"))
        status, headers, _ = await connection.reply()
        assert (status, headers["allow"]) == (405, "GET, POST")
        assert headers["content-type"] == "application/problem+json"
        await connection.send(head("traceparent: 00-" + "a" * 32 + "-" + "b" * 16 + "-01", line="HEAD /size"))
        head_only = (await connection.reader.readuntil(b"\r\n\r\n")).decode().lower()
        assert "content-length: 11" in head_only
        assert "traceparent: 00-" + "a" * 32 in head_only
