"""The fault proxy does what the fault tests rely on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.support.proxy import DOWN, FaultProxy
from tests.support.waiting import eventually


@asynccontextmanager
async def start_upper_case_server() -> AsyncIterator[tuple[int, list[bytes]]]:
    """Answers every line in capitals; the list holds the lines that arrived."""
    received: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            received.append(line)
            writer.write(line.upper())
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], received
    finally:
        server.close()


@asynccontextmanager
async def connect_through_proxy() -> AsyncIterator[
    tuple[FaultProxy, asyncio.StreamReader, asyncio.StreamWriter, list[bytes]]
]:
    async with start_upper_case_server() as (port, received), FaultProxy("127.0.0.1", port) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        try:
            yield proxy, reader, writer, received
        finally:
            writer.close()


async def test_without_a_fault_everything_passes_unchanged() -> None:
    async with connect_through_proxy() as (_, reader, writer, _heard):
        writer.write(b"one\n")
        assert await reader.readline() == b"ONE\n"


async def test_a_cut_resets_the_connection() -> None:
    async with connect_through_proxy() as (proxy, reader, writer, _):
        writer.write(b"one\n")
        await reader.readline()
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            await reader.readline()


async def test_a_stalled_answer_comes_once_it_flows_again() -> None:
    async with connect_through_proxy() as (proxy, reader, writer, received):
        proxy.stall(DOWN)
        writer.write(b"one\n")
        await eventually(lambda: _now(received == [b"one\n"]))
        waiting = asyncio.create_task(reader.readline())
        done, _ = await asyncio.wait([waiting], timeout=0.1)
        assert not done
        proxy.resume_flow()
        assert await waiting == b"ONE\n"


async def test_sliced_bytes_arrive_whole() -> None:
    async with connect_through_proxy() as (proxy, reader, writer, _):
        proxy.slice(3)
        writer.write(b"a longer line than three\n")
        assert await reader.readline() == b"A LONGER LINE THAN THREE\n"


async def test_a_lost_answer_means_that_the_request_arrived() -> None:
    async with connect_through_proxy() as (proxy, reader, writer, received):
        proxy.lose_reply(b"commit")
        writer.write(b"commit\n")
        with pytest.raises(ConnectionResetError):
            await reader.readline()
        assert received == [b"commit\n"]
        assert proxy.triggered == 1


async def test_a_lost_request_never_arrives() -> None:
    async with connect_through_proxy() as (proxy, reader, writer, received):
        proxy.lose_request(b"commit")
        writer.write(b"commit\n")
        with pytest.raises(ConnectionResetError):
            await reader.readline()
        assert received == []


async def test_the_believer_of_a_half_open_link_hears_nothing() -> None:
    async with connect_through_proxy() as (proxy, reader, writer, received):
        writer.write(b"one\n")
        await reader.readline()
        proxy.half_open("client")
        writer.write(b"two\n")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.readline(), 0.2)
        assert received == [b"one\n"]


async def test_after_refusing_it_listens_on_the_same_port_again() -> None:
    async with connect_through_proxy() as (proxy, *_):
        port = proxy.port
        await proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        await proxy.listen()
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()


async def _now(value: bool) -> bool:
    return value
