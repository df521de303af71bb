"""What intake publishes: its outbox as /metrics shows it, and the events that really came to the queue."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import aio_pika
import httpx
import msgspec

from bench.wrk import BenchFailed
from tests.support.processes import Serving
from tests.support.waiting import eventually

QUEUE = "dispatch.demands"


async def _gauge(serving: Serving, name: str) -> float:
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        text = (await client.get(f"{serving.url}/metrics")).text
    start = f'{name}{{service="{serving.name}"}}'
    return float(next(line for line in text.splitlines() if line.startswith(start)).split()[1])


@contextlib.asynccontextmanager
async def ages(serving: Serving) -> AsyncIterator[list[float]]:
    """While inside, the list gets the age in seconds of the oldest waiting row, every second."""
    seen: list[float] = []

    async def look() -> None:
        while True:
            await asyncio.sleep(1)
            seen.append(await _gauge(serving, "guanjia_outbox_oldest_seconds"))

    async with asyncio.TaskGroup() as group:
        looking = group.create_task(look())
        yield seen
        looking.cancel()


async def drained(serving: Serving) -> float:
    """Wait until the outbox is empty; how many seconds that took."""
    started = time.perf_counter()

    async def pending() -> float:
        return await _gauge(serving, "guanjia_outbox_pending")

    await eventually(pending, lambda count: count == 0, within=120, every=0.05)
    return time.perf_counter() - started


class _Named(msgspec.Struct):
    id: str


_many = msgspec.json.Decoder(list[_Named])
_one = msgspec.json.Decoder(_Named)


def _ids(body: bytes) -> list[str]:
    events = _many.decode(body) if body[:1] == b"[" else [_one.decode(body)]
    return [event.id for event in events]


async def expect_each_once(amqp_url: str, count: int) -> None:
    """Consume what waits for dispatch. BenchFailed unless it is so many events, none of them twice."""
    seen: set[str] = set()
    heard = 0
    async with await aio_pika.connect(amqp_url) as connection:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=500)
        queue = await channel.get_queue(QUEUE)
        with contextlib.suppress(TimeoutError):
            async with queue.iterator(timeout=10) as deliveries:
                async for delivery in deliveries:
                    ids = _ids(delivery.body)
                    heard += len(ids)
                    seen.update(ids)
                    await delivery.ack()
                    if heard >= count:
                        break
    if not heard == len(seen) == count:
        raise BenchFailed(f"{count} were accepted; {heard} were published, {len(seen)} different ones")
