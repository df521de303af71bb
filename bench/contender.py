"""Runs a peer of `bench.peers` as a process of its own, and checks afterwards that it lost no step."""

import asyncio
import os
import sys
from pathlib import Path

import msgspec

from bench.cpu_meter import Meter, megabytes
from bench.environment import Plot, plot, server_processes
from bench.results import Outcome
from bench.wrk import BenchFailed
from tests.support.stores import rows

PROJECT = Path(__file__).resolve().parent.parent
PEERS = Path(sys.prefix) / "peers" / "bin" / "python"
_START, _TAIL = 90.0, 120.0
_COUNTS = """
SELECT (SELECT count(*) FROM cases) AS cases, (SELECT count(*) FROM case_history) AS history,
       (SELECT count(*) FROM outbox) AS outbox, (SELECT min(version) FROM cases) AS least
"""


class _Told(msgspec.Struct):
    courses: int
    seconds: float
    everything: int
    p50: float
    p99: float


async def peer(
    program: str, *, seconds: float, inflight: int = 0, rate: float = 0, steps: int = 8
) -> Outcome:
    """A round of `bench.peers.PROGRAM`: closed loop of `inflight`, or open loop of `rate` a second.

    BenchFailed where a step is missing or was taken twice.
    """
    with plot() as ground:
        argv = ["--seconds", str(seconds), "--steps", str(steps)]
        argv += ["--rate", str(rate)] if rate else ["--inflight", str(inflight)]
        child = await _start(program, argv, ground)
        try:
            await _line(child, _START, ground)
            with Meter({"own": [child.pid], **server_processes()}) as meter:
                _go_on(child)
                told = msgspec.json.decode(await _line(child, seconds + _TAIL, ground), type=_Told)
            memory = {"own": megabytes(child.pid)}
            await _check(ground, told.everything, steps)
        finally:
            await _end(child)
    outcome = Outcome.of(told.courses, told.seconds, meter)
    outcome.memory, outcome.p50, outcome.p99 = memory, told.p50, told.p99
    return outcome


async def _start(program: str, argv: list[str], ground: Plot) -> asyncio.subprocess.Process:
    env = {**os.environ, "PYTHONPATH": str(PROJECT), "PYTHONUNBUFFERED": "1"}
    env |= {"BENCH_DATABASE_URL": ground.database_url, "BENCH_AMQP_URL": ground.amqp_url}
    with (ground.folder / "words").open("wb") as words:
        return await asyncio.create_subprocess_exec(
            PEERS, "-m", f"bench.peers.{program}", *argv, env=env, cwd=ground.folder,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=words,
        )  # fmt: skip


async def _line(child: asyncio.subprocess.Process, within: float, ground: Plot) -> bytes:
    assert child.stdout
    try:
        async with asyncio.timeout(within):
            said = await child.stdout.readline()
    except TimeoutError:
        said = b""
    if not said:
        words = (ground.folder / "words").read_text(errors="replace")[-1500:]
        raise BenchFailed(f"a peer said nothing more: {words}")
    return said


def _go_on(child: asyncio.subprocess.Process) -> None:
    assert child.stdin
    child.stdin.write(b"go\n")


async def _end(child: asyncio.subprocess.Process) -> None:
    """Let it leave by itself; kill it where it does not."""
    if child.stdin:
        child.stdin.close()
    try:
        async with asyncio.timeout(25):
            await child.wait()
    except TimeoutError:
        child.kill()
        await child.wait()


async def _check(ground: Plot, cases: int, steps: int) -> None:
    found = (await rows(ground.database_url, _COUNTS))[0]
    expected = {"cases": cases, "history": cases * steps, "outbox": cases * steps, "least": steps}
    if found != expected:
        raise BenchFailed(f"{expected} expected, {found} found")
