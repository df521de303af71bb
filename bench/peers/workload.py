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
Repair = Callable[[str], Awaitable[None]]


def parse_options() -> argparse.Namespace:
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


async def run_workload(run_repair: Repair, options: argparse.Namespace) -> None:
    """Warm up, report ready, run when told, tell the outcome, and stay until told to leave."""
    for _ in range(WARM_UP):
        await run_repair(new_case())
    await _print_and_wait("ready")
    durations: list[float] = []
    started = time.perf_counter()
    if options.rate:
        await _open_loop(run_repair, options.rate, options.seconds, durations)
    else:
        await _closed_loop(run_repair, options.inflight, options.seconds, durations)
    seconds = time.perf_counter() - started
    result = {"repairs": len(durations), "seconds": seconds, "total": len(durations) + WARM_UP}
    await _print_and_wait(json.dumps({**result, **percentiles(durations)}))


def percentiles(durations: list[float]) -> dict[str, float]:
    """p50 and p99 of so many seconds, in milliseconds."""
    ordered = sorted(durations) or [float("nan")]
    at = {name: ordered[min(len(ordered) - 1, int(len(ordered) * part))] for name, part in _PARTS.items()}
    return {name: seconds * 1e3 for name, seconds in at.items()}


_PARTS = {"p50": 0.5, "p99": 0.99}


async def _print_and_wait(line: str) -> None:
    """One line out, then wait for one line in."""
    print(line, flush=True)
    await asyncio.to_thread(sys.stdin.readline)


async def _closed_loop(run_repair: Repair, inflight: int, seconds: float, durations: list[float]) -> None:
    until = time.perf_counter() + seconds

    async def repair_in_turn() -> None:
        while (started := time.perf_counter()) < until:
            await run_repair(new_case())
            durations.append(time.perf_counter() - started)

    async with asyncio.timeout(seconds + _LONGEST_TAIL):
        await asyncio.gather(*(repair_in_turn() for _ in range(inflight)))


async def _open_loop(run_repair: Repair, rate: float, seconds: float, durations: list[float]) -> None:
    async def run_timed(due: float) -> None:
        await run_repair(new_case())
        durations.append(time.perf_counter() - due)

    started, running = time.perf_counter(), set[asyncio.Task[Any]]()
    for number in range(int(rate * seconds)):
        due = started + number / rate
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        running.add(asyncio.create_task(run_timed(due)))
    async with asyncio.timeout(_LONGEST_TAIL):
        await asyncio.gather(*running)


def exit_now() -> None:
    """End at once: libraries' background threads are not waited for."""
    sys.stdout.flush()
    os._exit(0)
