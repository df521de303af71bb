"""Those that take demands over HTTP, measured alike: the floor, FastAPI with an ORM, and guanjia."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx

from bench import published
from bench.cpu_meter import Meter, megabytes
from bench.environment import Plot, plot, product, server_processes
from bench.payload import MARK, demand_json, event_json
from bench.results import Outcome
from bench.rounds import seconds
from bench.wrk import BenchFailed, Shots, shoot
from tests.support.children import end, free_port, spawn
from tests.support.processes import KEY
from tests.support.stores import rows
from tests.support.waiting import eventually_now

HERE = Path(__file__).resolve().parent
PEERS = Path(sys.prefix) / "peers" / "bin" / "python"
CONNECTIONS, BATCHERS, BATCH = 128, 16, 100
SECONDS = 8.0
_JSON = {"Content-Type": "application/json"}
_SIGNED = {"Authorization": f"Bearer {KEY}"}
_TABLES = """
CREATE TABLE demands (
    id uuid PRIMARY KEY, reference text, body jsonb NOT NULL, received_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, demand_id uuid NOT NULL, topic text NOT NULL
)
"""


@contextlib.contextmanager
def _serving(python: Path, app: str, ground: Plot) -> Iterator[tuple[int, int]]:
    """`app` under uvicorn on `ground`: its port and process."""
    port = free_port()
    options = f"--port {port} --loop uvloop --http httptools --no-access-log --log-level warning"
    argv = [str(python), "-m", "uvicorn", app, *options.split(), "--lifespan", "off"]
    env = {**os.environ, "BENCH_DATABASE_URL": ground.database_url, "PYTHONPATH": str(HERE.parent)}
    child = spawn(argv, env=env, log=ground.folder / "app.log", cwd=ground.folder)
    try:
        eventually_now(lambda: _takes(port), within=30)
        yield port, child.pid
    finally:
        end(child)


def _takes(port: int) -> bool:
    """A good demand is taken and a bad one is not."""
    url = f"http://127.0.0.1:{port}/"
    try:
        good, bad = (httpx.post(url, content=body, headers=_JSON, trust_env=False) for body in _PROBES)
    except httpx.HTTPError:
        return False
    return good.status_code == 202 and bad.status_code == 422


_PROBES = (demand_json(0), '{"property":"tower"}')


async def _baseline(python: Path, app: str) -> Outcome:
    with plot() as ground:
        for statement in _TABLES.split(";"):
            await rows(ground.database_url, statement)
        with _serving(python, app, ground) as (port, pid):
            await _load(ground, port, 1, "/", _JSON)
            before = await _count(ground, "demands")
            with Meter({"app": [pid], **server_processes()}) as meter:
                shots = await _load(ground, port, seconds(SECONDS), "/", _JSON)
            stored = await _count(ground, "demands") - before
            _agree(shots.requests, stored, CONNECTIONS)
            return _outcome(shots, 1, meter, {"app": megabytes(pid)})


async def floor() -> Outcome:
    """Bare ASGI, group commit."""
    return await _baseline(Path(sys.executable), "bench.floor:app")


async def orm() -> Outcome:
    """FastAPI, a session of the ORM and a commit each."""
    return await _baseline(PEERS, "bench.peers.orm_app:app")


async def intake() -> Outcome:
    """guanjia's intake, single demands; until its outbox is empty, every one published once."""
    return await _intake("/v1/demands", {**_JSON, **_SIGNED}, demand_json(MARK), 1)


async def batches() -> Outcome:
    """The same, batches of a hundred CloudEvents."""
    body = "[" + ",".join(event_json(f"{MARK}-{number}") for number in range(BATCH)) + "]"
    headers = {"Content-Type": "application/cloudevents-batch+json", **_SIGNED}
    return await _intake("/v1/events", headers, body, BATCH)


async def _intake(path: str, headers: dict[str, str], body: str, size: int) -> Outcome:
    connections = CONNECTIONS if size == 1 else BATCHERS
    with plot() as ground, product(ground, "intake") as running:
        serving, port, pids = running.serving["intake"], running.port("intake"), running.pids
        await _load(ground, port, 1, path, headers, body, connections)
        await published.drained(serving)
        before = await _count(ground, "intake.demands")
        with Meter({**pids, **server_processes()}) as meter:
            async with published.ages(serving) as waited:
                shots = await _load(ground, port, seconds(SECONDS), path, headers, body, connections)
                lag = await published.drained(serving)
        stored = await _count(ground, "intake.demands")
        _agree(shots.requests * size, stored - before, connections * size)
        await published.expect_each_once(ground.amqp_url, stored)
        outcome = _outcome(shots, size, meter, {"intake": megabytes(*pids["intake"])})
        outcome.more["through"] = shots.requests * size / (shots.microseconds / 1e6 + lag)
        outcome.more["lag"], outcome.more["oldest"] = lag, max(waited, default=0.0)
        return outcome


async def _load(
    ground: Plot,
    port: int,
    duration: float,
    path: str,
    headers: dict[str, str],
    body: str = "",
    connections: int = CONNECTIONS,
) -> Shots:
    script = ground.folder / "load.lua"
    return await shoot(script, port, connections, duration, body or demand_json(MARK), headers, path)


def _outcome(shots: Shots, size: int, meter: Meter, memory: dict[str, float]) -> Outcome:
    outcome = Outcome.of(shots.requests * size, shots.microseconds / 1e6, meter)
    outcome.memory, outcome.p50, outcome.p99 = memory, shots.p50 / 1e3, shots.p99 / 1e3
    return outcome


async def _count(ground: Plot, table: str) -> int:
    """How many rows, once those that wrk left unheard at its end are in too."""
    before = -1
    while True:
        found = int((await rows(ground.database_url, f"SELECT count(*) AS found FROM {table}"))[0]["found"])
        if found == before:
            return found
        before = found
        await asyncio.sleep(0.3)


def _agree(answered: int, stored: int, in_flight: int) -> None:
    """Every answered one is stored; beyond them only those that wrk left unheard at its end."""
    if not answered <= stored <= answered + in_flight:
        raise BenchFailed(f"{answered} were answered, {stored} are stored")
