"""kill -9 at chosen moments: between commit and publish, publish and settle, handling and acknowledging.

    python -m tests.faults.crash_points --all [--numbers 1 4] [--bus embedded] [--point POINT]
    python -m tests.faults.crash_points --without inbox    # a guard is taken away: the books are not clean

Of each run: repairs go on until every switch (`crash_point.py`) has killed its process, which comes back
without it; then the books are checked exactly, and what the change stream told. Without a broker one process
has all services and one switch, on RabbitMQ each of four has its own.
"""

import argparse
import asyncio
import itertools
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.faults import checks
from tests.faults.crash_point import GUARDS, HALVES, POINTS
from tests.faults.kill import SERVICES, wait_until_ready
from tests.faults.repairs import PROPERTY, Repair, RepairTraffic, ServiceClients
from tests.faults.stream import StreamWatcher
from tests.support import servers
from tests.support.children import read_tail, spawn
from tests.support.processes import Processes, ServiceProcess
from tests.support.properties import write_property
from tests.support.stores import fresh_database, fresh_vhost
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]
NUMBERS = (1, 4)
NEVER = "nobody:never"
COMMITTED = "committed-not-handed-over"
ONLY_HANDLES = {"handled-not-committed", "handled-not-acknowledged"}
"""The points of kpi, which publishes nothing."""


class Crash(NamedTuple):
    """The `number`-th passing of `point` by `service`, which is the end of its process."""

    service: str
    point: str
    number: int = 1


Plan = Sequence[Crash]
"""What happens in a run; the crashes of one process one after another."""


class CrashingProcess(ServiceProcess):
    """A process with a switch: at its first start the first of `crashes`, at the next the next, then none."""

    crashes: list[Crash]
    armed: Crash | None = None
    without: str | None = None

    def launch(self) -> None:
        self.armed = self.crashes.pop(0) if self.crashes else None
        point = f"{self.armed.service}:{self.armed.point}" if self.armed else NEVER
        number = self.armed.number if self.armed else 0
        guard = ["--without", self.without] if self.without else []
        argv = [sys.executable, "-m", "tests.faults.crash_point", point, str(number), *guard]
        if self.armed or self.without:
            self.child = spawn([*argv, "serve", self.name], env=self.env, log=self.log, cwd=self.folder)
        else:
            super().launch()

    async def come_back(self, within: float) -> None:
        """Start it again after each of its crashes. AssertionError where one did not happen."""

        async def has_ended() -> bool:
            return not self.alive

        while self.armed:
            await eventually(has_ended, within=within, every=0.01)
            code = self.child.returncode if self.child else None
            assert code == -signal.SIGKILL, f"{self.armed} ended with {code}:\n{read_tail(self.log, 4000)}"
            self.launch()


class InterruptedTraffic(RepairTraffic):
    """Repairs that are all alike, so that what is interrupted is known."""

    async def run_rated_repair(self, rating: int) -> Repair:
        """A repair that the resident takes back too late and then rates."""
        repair = await self.raise_demand()
        await self.wait_until_assigned(repair)
        for action in ("accept", "arrive", "complete"):
            await self.perform_action(repair, action)
        await self.withdraw_too_late(repair)
        await self.perform_action(repair, "inspect", passed=True)
        await self.answer_follow_up(repair, rating)
        repair.closed = True
        return repair

    async def run_until_spent(self, processes: Sequence[CrashingProcess]) -> None:
        """A dissatisfied resident, then two at a time, until no switch is left."""
        await self.run_rated_repair(1)
        while any(process.armed for process in processes):
            await asyncio.gather(self.run_rated_repair(5), self.run_rated_repair(2))


async def run_plan(
    plan: Plan, folder: Path, *, database_url: str = "", amqp_url: str = "", without: str | None = None
) -> dict[str, int]:
    """Let the crashes happen and check the books; what was counted. Raises AssertionErrors, in groups."""
    write_property(folder / "properties", PROPERTY)
    group = Processes(folder, folder / "properties", database_url=database_url, amqp_url=amqp_url)
    try:
        running = _launch(group, plan, SERVICES if amqp_url else ("all",), without)
        await asyncio.gather(*(wait_until_ready(process) for process in running))
        by_name = {process.name: process for process in running}
        clients = ServiceClients({name: by_name.get(name, running[0]) for name in SERVICES})
        try:
            return await _interrupt(InterruptedTraffic(clients, seed=1), running)
        finally:
            await clients.close()
    finally:
        group.close()


def _launch(group: Processes, plan: Plan, names: Sequence[str], without: str | None) -> list[CrashingProcess]:
    processes = []
    for name in names:
        process = CrashingProcess(name, group.env | {"PYTHONPATH": str(ROOT)}, group.folder)
        process.crashes = [crash for crash in plan if name in (crash.service, "all")]
        process.without = without
        group.started.append(process)
        process.launch()
        processes.append(process)
    return processes


async def _interrupt(traffic: InterruptedTraffic, running: Sequence[CrashingProcess]) -> dict[str, int]:
    watcher = StreamWatcher(traffic.clients)
    watching = asyncio.create_task(watcher.run())
    try:
        async with asyncio.TaskGroup() as tasks:
            for process in running:
                tasks.create_task(process.come_back(within=90))
            tasks.create_task(traffic.run_until_spent(running))
        await asyncio.gather(*(wait_until_ready(process) for process in running))
        await checks.wait_until_settled(traffic.clients)
        await traffic.run_rated_repair(2)  # what was delivered anew is ahead of it on every queue
        await checks.wait_until_settled(traffic.clients)
        counts = await checks.check_results(traffic.clients, traffic.repairs)
        await watcher.check(await checks.list_steps(traffic.clients))
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    return counts | {"connections of the watcher": watcher.connections}


def list_plans(bus: str, points: Sequence[str], numbers: Sequence[int]) -> Iterator[Plan]:
    """All that is tried on a bus: of embedded services one at a time, of those on RabbitMQ all at once."""
    for point, number in itertools.product(points, numbers):
        plans = [make_plan(Crash(name, point, number)) for name in SERVICES if passes(name, point)]
        if bus == "rabbitmq":
            yield [crash for plan in plans for crash in plan]
        elif point not in HALVES:  # there all that is published is one transaction
            yield from plans


def passes(service: str, point: str) -> bool:
    """Whether a service comes to a point in this traffic; only dispatch takes two steps at once."""
    if point in ("handed-over-not-told", *HALVES):
        return service == "dispatch"
    return service != "kpi" or point in ONLY_HANDLES


def make_plan(crash: Crash) -> Plan:
    """How to come to a point: what is claimed must have been left by a crash before."""
    if not crash.point.startswith("claimed"):
        return [crash]
    return [crash._replace(point=COMMITTED), crash._replace(number=1)]


def run_alone(bus: str, plan: Plan, without: str | None) -> dict[str, int]:
    """`run_plan` in a folder, a database and a virtual host of its own."""
    with tempfile.TemporaryDirectory() as scrap:
        if bus == "embedded":
            return asyncio.run(run_plan(plan, Path(scrap), without=without))
        with fresh_database() as database_url, fresh_vhost() as amqp_url:
            work = run_plan(plan, Path(scrap), database_url=database_url, amqp_url=amqp_url, without=without)
            return asyncio.run(work)


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--all", action="store_true", help="every point, on both buses")
    parser.add_argument("--point", action="append", choices=POINTS)
    parser.add_argument("--bus", action="append", choices=("embedded", "rabbitmq"))
    parser.add_argument("--numbers", type=int, nargs="+", default=NUMBERS, help="at which passings")
    parser.add_argument("--without", choices=GUARDS, help="take this guard away")
    args = parser.parse_args()
    servers.hide_settings()
    failed = total = crashes = 0
    with servers.run_supervisor():
        for bus in args.bus or ("embedded", "rabbitmq"):
            for plan in list_plans(bus, args.point or list(POINTS), args.numbers):
                total, crashes, started = total + 1, crashes + len(plan), time.monotonic()
                try:
                    outcome = str(run_alone(bus, plan, args.without))
                except* AssertionError as error:
                    failed, outcome = failed + 1, f"FAILED: {error.exceptions}"
                names = ", ".join(f"{crash.service}:{crash.point} {crash.number}" for crash in plan)
                print(f"{bus}: {names}: {outcome} in {time.monotonic() - started:.1f} s", flush=True)
    print(f"{total} runs, {crashes} crashes, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
