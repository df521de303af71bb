"""Runs a peer of `bench.peers` as a process of its own, and checks afterwards that it lost no step."""

import asyncio
import os
import sys
from pathlib import Path

import msgspec

from bench.cpu_meter import CpuMeter, resident_megabytes
from bench.environment import RoundEnvironment, list_server_pids, round_environment
from bench.results import Outcome
from bench.wrk import BenchFailed
from tests.support.stores import fetch_rows

PROJECT = Path(__file__).resolve().parent.parent
PEERS = Path(sys.prefix) / "peers" / "bin" / "python"
FLOORS = {"by_hand"}
"""What runs in the product's own environment, so that no peer has to be installed for it."""
_START_SECONDS, _TAIL_SECONDS = 90.0, 120.0
_COUNTS = """
SELECT (SELECT count(*) FROM cases) AS cases, (SELECT count(*) FROM case_history) AS history,
       (SELECT count(*) FROM outbox) AS outbox, (SELECT min(version) FROM cases) AS least
"""


class _PeerResult(msgspec.Struct):
    repairs: int
    seconds: float
    total: int
    p50: float
    p99: float


async def run_peer(
    program: str, *, seconds: float, inflight: int = 0, rate: float = 0, steps: int = 8
) -> Outcome:
    """A round of `bench.peers.PROGRAM`: closed loop of `inflight`, or open loop of `rate` a second.

    BenchFailed where a step is missing or was taken twice.
    """
    with round_environment() as environment:
        argv = ["--seconds", str(seconds), "--steps", str(steps)]
        argv += ["--rate", str(rate)] if rate else ["--inflight", str(inflight)]
        child = await _start(program, argv, environment)
        try:
            await _read_line(child, _START_SECONDS, environment)
            with CpuMeter({"own": [child.pid], **list_server_pids()}) as meter:
                _let_go(child)
                result = msgspec.json.decode(
                    await _read_line(child, seconds + _TAIL_SECONDS, environment), type=_PeerResult
                )
            memory = {"own": resident_megabytes(child.pid)}
            await _check_counts(environment, result.total, steps)
        finally:
            await _stop(child)
    outcome = Outcome.of_round(result.repairs, result.seconds, meter)
    outcome.memory, outcome.p50, outcome.p99 = memory, result.p50, result.p99
    return outcome


async def _start(program: str, argv: list[str], environment: RoundEnvironment) -> asyncio.subprocess.Process:
    env = {**os.environ, "PYTHONPATH": str(PROJECT), "PYTHONUNBUFFERED": "1"}
    python = sys.executable if program in FLOORS else PEERS
    env |= {"BENCH_DATABASE_URL": environment.database_url, "BENCH_AMQP_URL": environment.amqp_url}
    with (environment.folder / "log").open("wb") as log:
        return await asyncio.create_subprocess_exec(
            python, "-m", f"bench.peers.{program}", *argv, env=env, cwd=environment.folder,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=log,
        )  # fmt: skip


async def _read_line(
    child: asyncio.subprocess.Process, within: float, environment: RoundEnvironment
) -> bytes:
    assert child.stdout
    try:
        async with asyncio.timeout(within):
            line = await child.stdout.readline()
    except TimeoutError:
        line = b""
    if not line:
        log = (environment.folder / "log").read_text(errors="replace")[-1500:]
        raise BenchFailed(f"a peer said nothing more: {log}")
    return line


def _let_go(child: asyncio.subprocess.Process) -> None:
    assert child.stdin
    child.stdin.write(b"go\n")


async def _stop(child: asyncio.subprocess.Process) -> None:
    """Let it leave by itself; kill it where it does not."""
    if child.stdin:
        child.stdin.close()
    try:
        async with asyncio.timeout(25):
            await child.wait()
    except TimeoutError:
        child.kill()
        await child.wait()


async def _check_counts(environment: RoundEnvironment, cases: int, steps: int) -> None:
    counts = (await fetch_rows(environment.database_url, _COUNTS))[0]
    expected = {"cases": cases, "history": cases * steps, "outbox": cases * steps, "least": steps}
    if counts != expected:
        raise BenchFailed(f"{expected} expected, {counts} found")
