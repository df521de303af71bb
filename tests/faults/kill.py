"""kill -9 at random: each of the four services so many times, while repairs go on on RabbitMQ and PostgreSQL.

    python -m tests.faults.kill --times 100 [--service intake ...] [--seed 1] [--folder DIR]

Ends with a proven result (`tests/faults/checks.py`) or an AssertionError.
"""

import argparse
import asyncio
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.faults import checks
from tests.faults.repairs import PROPERTY, RepairTraffic, ServiceClients
from tests.support import servers
from tests.support.processes import Processes, ServiceProcess
from tests.support.properties import write_property
from tests.support.stores import fresh_database, fresh_vhost

SERVICES = ("intake", "dispatch", "survey", "kpi")


async def campaign(
    folder: Path,
    database_url: str,
    amqp_url: str,
    *,
    victims: tuple[str, ...],
    times: int,
    seed: int,
    repairs: int = 8,
) -> dict[str, int]:
    """Kill each victim `times` times while `repairs` repairs go on side by side; what was counted."""
    write_property(folder / "properties", PROPERTY)
    group = Processes(folder, folder / "properties", database_url=database_url, amqp_url=amqp_url)
    try:
        running = {name: group.make(name) for name in SERVICES}
        for process in running.values():
            process.launch()
        await asyncio.gather(*(wait_until_ready(process) for process in running.values()))
        clients = ServiceClients(running)
        try:
            traffic = RepairTraffic(clients, seed)
            await _kill_during_traffic(traffic, running, victims, times, seed, repairs)
            took = await checks.wait_until_settled(clients)
            counts = await checks.check_results(clients, traffic.repairs)
            return counts | {"kills": times * len(victims), "settled_after_seconds": round(took)}
        finally:
            await clients.close()
    finally:
        group.close()


async def _kill_during_traffic(
    traffic: RepairTraffic,
    running: dict[str, ServiceProcess],
    victims: tuple[str, ...],
    times: int,
    seed: int,
    repairs: int,
) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(traffic.run(repairs))
        await kill_often([running[name] for name in victims], times, random.Random(seed))
        traffic.stopping.set()


async def kill_often(victims: Sequence[ServiceProcess], times: int, random_numbers: random.Random) -> None:
    """Kill each so many times, in any order, at random moments; one in four while it is still starting."""
    order = [process for process in victims for _ in range(times)]
    random_numbers.shuffle(order)
    for process in order:
        await asyncio.sleep(random_numbers.uniform(0.0, 2.0))
        process.kill()
        process.launch()
        if random_numbers.random() < 0.75:
            await wait_until_ready(process)
    await asyncio.gather(*(wait_until_ready(process) for process in victims))


async def wait_until_ready(process: ServiceProcess, within: float = 60) -> None:
    """Until it says that it is; starting under load takes its time."""
    await asyncio.to_thread(process.wait_ready, within)


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--service", action="append", choices=SERVICES, help="whom to kill; without: all four"
    )
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--repairs", type=int, default=8, help="repairs side by side")
    parser.add_argument("--folder", type=Path, help="where logs are kept; without: thrown away")
    args = parser.parse_args()
    servers.hide_settings()
    with tempfile.TemporaryDirectory() as scrap, servers.run_supervisor():
        folder = args.folder or Path(scrap)
        folder.mkdir(parents=True, exist_ok=True)
        with fresh_database() as database_url, fresh_vhost() as amqp_url:
            started = time.monotonic()
            victims = tuple(args.service or SERVICES)
            work = campaign(
                folder,
                database_url,
                amqp_url,
                victims=victims,
                times=args.times,
                seed=args.seed,
                repairs=args.repairs,
            )
            print(asyncio.run(work), f"in {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
