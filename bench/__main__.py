"""`make bench`: intake beside its floor, whole repairs on the embedded defaults, start and memory."""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
from rich.console import Console
from rich.table import Table

from bench.load import post, posted
from shared.messages import DemandRaised, Location, Requester
from tests.support import servers
from tests.support.children import end, free_port, spawn
from tests.support.processes import KEY, Processes, Serving
from tests.support.properties import write_property
from tests.support.stores import fresh_database, fresh_vhost
from tests.support.waiting import eventually, eventually_now

COUNT = int(os.environ.get("BENCH_COUNT", "10000"))
REPAIRS = int(os.environ.get("BENCH_REPAIRS", "500"))
CONNECTIONS = 128
ROUNDS = 3


def demand(number: int) -> bytes:
    """A demand of some 600 bytes."""
    raised = DemandRaised(
        property="tower",
        kind="repair",
        summary=f"厨房水管漏水 {number}",
        description="水从水槽下方渗出，" * 12,
        subject="water",
        priority="normal",
        channel="app",
        location=Location(floor=12, unit="1203"),
        requester=Requester(id=f"r-{number}", name="Resident", phone="13800000000", language="zh-CN"),
    )
    return msgspec.json.encode(raised)


def seconds_of(pid: int) -> float:
    """CPU seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def megabytes_of(pid: int) -> float:
    """Memory that a process holds now."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def _takes(port: int) -> bool:
    try:
        return httpx.post(f"http://127.0.0.1:{port}/", content=demand(0), trust_env=False).status_code == 202
    except httpx.HTTPError:
        return False


@contextmanager
def floor(database_url: str, folder: Path) -> Iterator[tuple[int, int]]:
    """The floor serving: its port and process."""
    port = free_port()
    options = (
        f"--port {port} --loop uvloop --http httptools --no-access-log --log-level warning --lifespan off"
    )
    argv = [sys.executable, "-m", "uvicorn", "bench.floor:app", *options.split()]
    env = {**os.environ, "BENCH_DATABASE_URL": database_url, "PYTHONPATH": str(Path(__file__).parent.parent)}
    child = spawn(argv, env=env, log=folder / "floor.log", cwd=folder)
    try:
        eventually_now(lambda: _takes(port), within=30)
        yield port, child.pid
    finally:
        end(child)


async def intake(table: Table) -> None:
    """Single events over HTTP, durable before the 202, beside the floor, interleaved."""
    with tempfile.TemporaryDirectory() as place, fresh_database() as url, fresh_vhost() as amqp:
        folder = Path(place)
        write_property(folder / "properties", "tower")
        processes = Processes(folder, folder / "properties", database_url=url, amqp_url=amqp)
        with floor(url, folder) as (floor_port, floor_pid):
            serving = processes.start("intake", GUANJIA_RATE_LIMIT="1000000/second")
            assert serving.child
            try:
                figures: dict[str, list[tuple[float, float]]] = {"floor": [], "intake": []}
                for _ in range(ROUNDS):
                    figures["floor"].append(await _run(floor_port, floor_pid, "/", ""))
                    figures["intake"].append(await _run(serving.port, serving.child.pid, "/v1/demands", KEY))
                backlog = await _drained(serving)
            finally:
                processes.close()
    best = {name: max(runs) for name, runs in figures.items()}
    for name, (rate, cpu) in best.items():
        table.add_row(
            f"intake over HTTP, {name}", f"{rate:,.0f}/s", f"{cpu:,.0f} us", f"{rate / best['floor'][0]:.2f}"
        )
    table.add_row("outbox empty after the last answer", f"{backlog:.1f} s", "", "")


async def _run(port: int, pid: int, path: str, key: str) -> tuple[float, float]:
    before = seconds_of(pid)
    took = await posted(port, lambda n: post(path, demand(n), key=key), COUNT, CONNECTIONS)
    return COUNT / took, (seconds_of(pid) - before) / COUNT * 1e6


async def _drained(serving: Serving) -> float:
    started = time.perf_counter()
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        while True:
            text = (await client.get(f"{serving.url}/metrics")).text
            if 'guanjia_outbox_pending{service="intake"} 0.0' in text:
                return time.perf_counter() - started
            await asyncio.sleep(0.1)


STEPS: list[tuple[str, dict[str, Any]]] = [
    ("accept", {}),
    ("depart", {}),
    ("arrive", {}),
    ("wait", {"reason": "parts"}),
    ("resume", {}),
    ("complete", {}),
    ("inspect", {"passed": True}),
]


async def repairs(table: Table) -> None:
    """Whole repairs on the embedded defaults: posted, assigned, seven actions each."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_property(folder / "properties", "tower")
        processes = Processes(folder, folder / "properties")
        started = time.perf_counter()
        serving = processes.start("all", GUANJIA_RATE_LIMIT="1000000/second")
        ready = time.perf_counter() - started
        assert serving.child
        pid = serving.child.pid
        try:
            idle, before = megabytes_of(pid), seconds_of(pid)
            took = await _whole_repairs(serving)
            cpu, memory = seconds_of(pid) - before, megabytes_of(pid)
        finally:
            processes.close()
    table.add_row("embedded: start to ready", f"{ready:.1f} s", "", "goal 3 s")
    table.add_row(
        "embedded: whole repairs", f"{REPAIRS / took:,.0f}/s", f"{cpu / REPAIRS * 1e6:,.0f} us", "goal 150/s"
    )
    table.add_row("embedded: memory, at start and after", f"{idle:.0f}, {memory:.0f} MB", "", "goal 150 MB")


async def _whole_repairs(serving: Serving) -> float:
    headers = {"Authorization": f"Bearer {KEY}"}
    limits = httpx.Limits(max_connections=64)
    numbers = iter(range(REPAIRS))
    async with httpx.AsyncClient(
        base_url=serving.url, headers=headers, trust_env=False, timeout=60, limits=limits
    ) as client:
        started = time.perf_counter()
        await asyncio.gather(*(_repairer(client, numbers) for _ in range(64)))
        return time.perf_counter() - started


async def _repairer(client: httpx.AsyncClient, numbers: Iterator[int]) -> None:
    for number in numbers:
        answer = await client.post(
            "/v1/demands", content=demand(number), headers={"Content-Type": "application/json"}
        )
        case = answer.json()["demand"]
        await eventually(lambda case=case: _is_open(client, case), within=60, every=0.25)  # type: ignore[misc]
        for action, data in STEPS:
            answer = await client.post(f"/v1/cases/{case}/actions", json={"action": action, "data": data})
            answer.raise_for_status()


async def _is_open(client: httpx.AsyncClient, case: str) -> bool:
    return (await client.get(f"/v1/cases/{case}")).status_code == 200


async def main() -> None:
    """Run all and print the table."""
    table = Table("what", "figure", "CPU of the server each", "ratio to the baseline")
    await intake(table)
    await repairs(table)
    Console(width=120).print(table)


if __name__ == "__main__":
    with servers.supervised():
        asyncio.run(main())
