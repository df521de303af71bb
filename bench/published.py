"""What intake publishes: its outbox as /metrics shows it, and the events that really came to the queue."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import aio_pika
import httpx
import msgspec
from aio_pika.abc import AbstractIncomingMessage

from bench.wrk import BenchFailed
from shared.messages.registry import PUBLIC_EXCHANGE
from tests.support.processes import ServiceProcess
from tests.support.waiting import eventually

QUEUE = "dispatch.demands"


async def read_samples(serving: ServiceProcess, name: str) -> dict[str, float]:
    """The samples of that name at `/metrics` of a process, by their labels as they are written there."""
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        text = (await client.get(f"{serving.url}/metrics")).text
    lines = [line.rpartition(" ") for line in text.splitlines() if line.startswith((f"{name}{{", f"{name} "))]
    return {label.removeprefix(name): float(value) for label, _, value in lines}


async def _read_gauge(serving: ServiceProcess, name: str) -> float:
    """Of the one service of a process."""
    return (await read_samples(serving, name))[f'{{service="{serving.name}"}}']


async def read_pending(serving: ServiceProcess) -> float:
    """How many events of a service are to be sent."""
    return await _read_gauge(serving, "guanjia_outbox_pending")


@contextlib.asynccontextmanager
async def watch_outbox_age(serving: ServiceProcess) -> AsyncIterator[list[float]]:
    """While inside, the list gets the age in seconds of the oldest waiting row, every second."""
    ages: list[float] = []

    async def note_age() -> None:
        while True:
            await asyncio.sleep(1)
            ages.append(await _read_gauge(serving, "guanjia_outbox_oldest_seconds"))

    async with asyncio.TaskGroup() as group:
        watcher = group.create_task(note_age())
        yield ages
        watcher.cancel()


async def wait_until_drained(serving: ServiceProcess) -> float:
    """Wait until the outbox is empty; how many seconds that took."""
    started = time.perf_counter()
    await eventually(lambda: read_pending(serving), lambda count: count == 0, within=120, every=0.05)
    return time.perf_counter() - started


class _EventId(msgspec.Struct):
    id: str


_batch_decoder = msgspec.json.Decoder(list[_EventId])
_event_decoder = msgspec.json.Decoder(_EventId)


def _list_ids(body: bytes) -> list[str]:
    events = _batch_decoder.decode(body) if body[:1] == b"[" else [_event_decoder.decode(body)]
    return [event.id for event in events]


@contextlib.asynccontextmanager
async def hear_public_events(amqp_url: str) -> AsyncIterator[list[str]]:
    """While inside, the list gets the id of every event that outsiders hear, as often as it comes."""
    ids: list[str] = []

    async def note_ids(delivery: AbstractIncomingMessage) -> None:
        ids.extend(_list_ids(delivery.body))

    async with await aio_pika.connect(amqp_url) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(exclusive=True)
        await queue.bind(PUBLIC_EXCHANGE, "#")
        await queue.consume(note_ids, no_ack=True)
        yield ids


async def check_published_once(amqp_url: str, count: int) -> None:
    """Consume what waits for dispatch. BenchFailed unless it is so many events, none of them twice."""
    ids_seen: set[str] = set()
    published_count = 0
    async with await aio_pika.connect(amqp_url) as connection:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=500)
        queue = await channel.get_queue(QUEUE)
        with contextlib.suppress(TimeoutError):
            async with queue.iterator(timeout=10) as deliveries:
                async for delivery in deliveries:
                    batch_ids = _list_ids(delivery.body)
                    published_count += len(batch_ids)
                    ids_seen.update(batch_ids)
                    await delivery.ack()
                    if published_count >= count:
                        break
    if not published_count == len(ids_seen) == count:
        raise BenchFailed(
            f"{count} were accepted; {published_count} were published, {len(ids_seen)} different ones"
        )
