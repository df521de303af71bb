"""Those that take demands over HTTP, measured alike: the floor, FastAPI with an ORM, and guanjia."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import httpx

from bench import published
from bench.contender import PEERS
from bench.cpu_meter import CpuMeter, resident_megabytes
from bench.environment import RoundEnvironment, list_server_pids, round_environment, run_product
from bench.payload import MARK, demand_json, event_json
from bench.product_tables import count_events
from bench.results import Outcome
from bench.sizes import round_seconds
from bench.wrk import BenchFailed, WrkResult, run_wrk
from tests.support.children import end_process, free_port, spawn
from tests.support.processes import KEY
from tests.support.stores import fetch_rows
from tests.support.waiting import eventually_now

HERE = Path(__file__).resolve().parent
CONNECTIONS, BATCHERS, BATCH = 128, 16, 100
SECONDS = 8.0
_JSON = {"Content-Type": "application/json"}
_AUTHORIZED = {"Authorization": f"Bearer {KEY}"}
_TABLES = """
CREATE TABLE demands (
    id uuid PRIMARY KEY, reference text, body jsonb NOT NULL, received_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, demand_id uuid NOT NULL, topic text NOT NULL
)
"""


@contextlib.contextmanager
def _run_app(python: Path, app: str, environment: RoundEnvironment) -> Iterator[tuple[int, int]]:
    """`app` under uvicorn on `environment`: its port and process."""
    port = free_port()
    options = f"--port {port} --loop uvloop --http httptools --no-access-log --log-level warning"
    argv = [str(python), "-m", "uvicorn", app, *options.split(), "--lifespan", "off"]
    env = {**os.environ, "BENCH_DATABASE_URL": environment.database_url, "PYTHONPATH": str(HERE.parent)}
    child = spawn(argv, env=env, log=environment.folder / "app.log", cwd=environment.folder)
    try:
        eventually_now(lambda: _validates(port), within=30)
        yield port, child.pid
    finally:
        end_process(child)


def _validates(port: int) -> bool:
    """A good demand is taken and a bad one is not."""
    url = f"http://127.0.0.1:{port}/"
    try:
        good, bad = (httpx.post(url, content=body, headers=_JSON, trust_env=False) for body in _PROBES)
    except httpx.HTTPError:
        return False
    return good.status_code == 202 and bad.status_code == 422


_PROBES = (demand_json(0), '{"property":"tower"}')


async def _measure_baseline(python: Path, app: str) -> Outcome:
    with round_environment() as environment:
        for statement in _TABLES.split(";"):
            await fetch_rows(environment.database_url, statement)
        with _run_app(python, app, environment) as (port, pid):
            await _run_load(environment, port, 1, "/", _JSON)
            before = await _count_when_still(environment, _count_demands)
            with CpuMeter({"app": [pid], **list_server_pids()}) as meter:
                result = await _run_load(environment, port, round_seconds(SECONDS), "/", _JSON)
            stored = await _count_when_still(environment, _count_demands) - before
            _check_stored(result.requests, stored, CONNECTIONS)
            return _make_outcome(result, 1, meter, {"app": resident_megabytes(pid)})


async def measure_floor() -> Outcome:
    """Bare ASGI, group commit."""
    return await _measure_baseline(Path(sys.executable), "bench.floor:app")


async def measure_orm() -> Outcome:
    """FastAPI, a session of the ORM and a commit each."""
    return await _measure_baseline(PEERS, "bench.peers.orm_app:app")


async def measure_single() -> Outcome:
    """guanjia's intake, single demands; its rate is of those published too, every one of them once.

    `accepted` is the rate of the answers, `oldest` the greatest age in the outbox, `lag` until it was empty.
    """
    return await _measure_intake("/v1/demands", {**_JSON, **_AUTHORIZED}, demand_json(MARK), 1)


async def measure_batches() -> Outcome:
    """The same, batches of a hundred CloudEvents."""
    body = "[" + ",".join(event_json(f"{MARK}-{number}") for number in range(BATCH)) + "]"
    headers = {"Content-Type": "application/cloudevents-batch+json", **_AUTHORIZED}
    return await _measure_intake("/v1/events", headers, body, BATCH)


async def _measure_intake(path: str, headers: dict[str, str], body: str, batch_size: int) -> Outcome:
    connections = CONNECTIONS if batch_size == 1 else BATCHERS
    with round_environment() as environment, run_product(environment, "intake") as running:
        serving, port, pids = running.serving["intake"], running.port("intake"), running.pids
        await _run_load(environment, port, 1, path, headers, body, connections)
        await published.wait_until_drained(serving)
        before = await _count_when_still(environment, count_events)
        with CpuMeter({**pids, **list_server_pids()}) as meter:
            async with published.watch_outbox_age(serving) as ages:
                result = await _run_load(
                    environment, port, round_seconds(SECONDS), path, headers, body, connections
                )
                lag = await published.wait_until_drained(serving)
        stored = await _count_when_still(environment, count_events)
        _check_stored(result.requests * batch_size, stored - before, connections * batch_size)
        await published.check_published_once(environment.amqp_url, stored)
        outcome = _make_outcome(result, batch_size, meter, {"intake": resident_megabytes(*pids["intake"])})
        outcome.extra = {"accepted": outcome.rate, "lag": lag, "oldest": max(ages, default=0.0)}
        outcome.rate = result.requests * batch_size / (result.microseconds / 1e6 + lag)
        return outcome


async def _run_load(
    environment: RoundEnvironment,
    port: int,
    duration: float,
    path: str,
    headers: dict[str, str],
    body: str = "",
    connections: int = CONNECTIONS,
) -> WrkResult:
    script = environment.folder / "load.lua"
    return await run_wrk(script, port, connections, duration, body or demand_json(MARK), headers, path)


def _make_outcome(result: WrkResult, batch_size: int, meter: CpuMeter, memory: dict[str, float]) -> Outcome:
    outcome = Outcome.of_round(result.requests * batch_size, result.microseconds / 1e6, meter)
    outcome.memory, outcome.p50, outcome.p99 = memory, result.p50 / 1e3, result.p99 / 1e3
    return outcome


async def _count_demands(url: str) -> int:
    return int((await fetch_rows(url, "SELECT count(*) AS found FROM demands"))[0]["found"])


async def _count_when_still(
    environment: RoundEnvironment, count_rows: Callable[[str], Awaitable[int]]
) -> int:
    """How many rows, once those that wrk left unheard at its end are in too."""
    before = -1
    while True:
        count = await count_rows(environment.database_url)
        if count == before:
            return count
        before = count
        await asyncio.sleep(0.3)


def _check_stored(answered: int, stored: int, in_flight: int) -> None:
    """Every answered one is stored; beyond them only those that wrk left unheard at its end."""
    if not answered <= stored <= answered + in_flight:
        raise BenchFailed(f"{answered} were answered, {stored} are stored")
