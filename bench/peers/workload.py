"""How a peer is driven: it says `ready`, waits for `go`, runs courses, and tells the outcome as JSON.

A course is a case from its start to the end of its last step, awaited. Closed loop: so many at once. Open
loop: so many a second, each timed from when it was due.
"""

import argparse
import asyncio
import json
import os
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

WARM_UP = 20
_LONGEST_TAIL = 60.0
Course = Callable[[str], Awaitable[None]]


def options() -> argparse.Namespace:
    """--seconds to run for; --inflight at once, or --rate a second; --steps of each course."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--inflight", type=int, default=32)
    parser.add_argument("--rate", type=float, default=0)
    parser.add_argument("--steps", type=int, default=8)
    return parser.parse_args()


def database_url() -> str:
    """The empty database that is this peer's own."""
    return os.environ["BENCH_DATABASE_URL"]


def amqp_url() -> str:
    """The empty virtual host that is this peer's own."""
    return os.environ["BENCH_AMQP_URL"]


def new_case() -> str:
    """A time-ordered identifier (UUID version 7), so that keys append at the right edge."""
    data = bytearray((time.time_ns() // 1_000_000).to_bytes(6, "big") + os.urandom(10))
    data[6], data[8] = 0x70 | data[6] & 0x0F, 0x80 | data[8] & 0x3F
    return str(uuid.UUID(bytes=bytes(data)))


async def conduct(course: Course, chosen: argparse.Namespace) -> None:
    """Warm up, report ready, run when told, tell the outcome, and stay until told to leave."""
    for _ in range(WARM_UP):
        await course(new_case())
    await _say("ready")
    taken: list[float] = []
    started = time.perf_counter()
    if chosen.rate:
        await _open_loop(course, chosen.rate, chosen.seconds, taken)
    else:
        await _closed_loop(course, chosen.inflight, chosen.seconds, taken)
    seconds = time.perf_counter() - started
    outcome = {"courses": len(taken), "seconds": seconds, "everything": len(taken) + WARM_UP}
    await _say(json.dumps({**outcome, **percentiles(taken)}))


def percentiles(taken: list[float]) -> dict[str, float]:
    """p50 and p99 of so many seconds, in milliseconds."""
    ordered = sorted(taken) or [float("nan")]
    at = {name: ordered[min(len(ordered) - 1, int(len(ordered) * part))] for name, part in _PARTS.items()}
    return {name: seconds * 1e3 for name, seconds in at.items()}


_PARTS = {"p50": 0.5, "p99": 0.99}


async def _say(what: str) -> None:
    """One line out, then wait for one line in."""
    print(what, flush=True)
    await asyncio.to_thread(sys.stdin.readline)


async def _closed_loop(course: Course, inflight: int, seconds: float, taken: list[float]) -> None:
    until = time.perf_counter() + seconds

    async def one_after_another() -> None:
        while (started := time.perf_counter()) < until:
            await course(new_case())
            taken.append(time.perf_counter() - started)

    async with asyncio.timeout(seconds + _LONGEST_TAIL):
        await asyncio.gather(*(one_after_another() for _ in range(inflight)))


async def _open_loop(course: Course, rate: float, seconds: float, taken: list[float]) -> None:
    async def timed(due: float) -> None:
        await course(new_case())
        taken.append(time.perf_counter() - due)

    started, running = time.perf_counter(), set[asyncio.Task[Any]]()
    for number in range(int(rate * seconds)):
        due = started + number / rate
        if (early := due - time.perf_counter()) > 0:
            await asyncio.sleep(early)
        running.add(asyncio.create_task(timed(due)))
    async with asyncio.timeout(_LONGEST_TAIL):
        await asyncio.gather(*running)


def leave() -> None:
    """End at once: libraries' background threads are not waited for."""
    sys.stdout.flush()
    os._exit(0)
