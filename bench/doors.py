"""The three that take demands over HTTP: the floor, FastAPI with an ORM, and guanjia's intake; each measured alike."""

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import aio_pika
import httpx
import msgspec

from bench.ground import Plot, plot, product, server_processes
from bench.meter import Meter, megabytes
from bench.outcomes import Outcome
from bench.payload import MARK, demand_json, event_json
from bench.rounds import seconds
from bench.wrk import BenchFailed, Shots, shoot
from tests.support.children import end, free_port, spawn
from tests.support.processes import KEY, Serving
from tests.support.stores import rows
from tests.support.waiting import eventually, eventually_now

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
        port, pids = running.port("intake"), running.pids
        await _load(ground, port, 1, path, headers, body, connections)
        await _drained(running.serving["intake"])
        before = await _count(ground, "intake.demands")
        with Meter({**pids, **server_processes()}) as meter:
            watching = asyncio.create_task(_watch(running.serving["intake"]))
            shots = await _load(ground, port, seconds(SECONDS), path, headers, body, connections)
            lag = await _drained(running.serving["intake"])
            watching.cancel()
        stored = await _count(ground, "intake.demands")
        _agree(shots.requests * size, stored - before, connections * size)
        await _each_published_once(ground.amqp_url, stored)
        outcome = _outcome(shots, size, meter, {"intake": megabytes(*pids["intake"])})
        outcome.more["through"] = shots.requests * size / (shots.microseconds / 1e6 + lag)
        outcome.more["lag"], outcome.more["oldest"] = lag, max(_seen, default=0.0)
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


# The outbox, as /metrics shows it.

_seen: list[float] = []
"""The oldest waiting row's age at each look of the last run, seconds."""


async def _gauge(serving: Serving, name: str) -> float:
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        text = (await client.get(f"{serving.url}/metrics")).text
    line = next(line for line in text.splitlines() if line.startswith(f'{name}{{service="{serving.name}"}}'))
    return float(line.split()[1])


async def _watch(serving: Serving) -> None:
    """Look at the outbox's age every second."""
    _seen.clear()
    while True:
        await asyncio.sleep(1)
        _seen.append(await _gauge(serving, "guanjia_outbox_oldest_seconds"))


async def _drained(serving: Serving) -> float:
    """Wait until the outbox is empty; how many seconds that took."""
    started = time.perf_counter()

    async def pending() -> float:
        return await _gauge(serving, "guanjia_outbox_pending")

    await eventually(pending, lambda count: count == 0, within=120, every=0.05)
    return time.perf_counter() - started


class _Named(msgspec.Struct):
    id: str


async def _each_published_once(amqp_url: str, count: int) -> None:
    """Consume what waits for dispatch: so many events, none twice."""
    decoder, seen, heard = msgspec.json.Decoder(list[_Named]), set[str](), 0
    connection = await aio_pika.connect(amqp_url)
    async with connection:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=500)
        queue = await channel.get_queue("dispatch.demands")
        async with queue.iterator(timeout=10) as deliveries:
            with contextlib.suppress(TimeoutError):
                async for delivery in deliveries:
                    ids = [event.id for event in decoder.decode(_as_list(delivery.body))]
                    heard += len(ids)
                    seen.update(ids)
                    await delivery.ack()
                    if heard >= count:
                        break
    if not heard == len(seen) == count:
        raise BenchFailed(f"{count} were accepted; {heard} were published, {len(seen)} different ones")


def _as_list(body: bytes) -> bytes:
    return body if body[:1] == b"[" else b"[" + body + b"]"
