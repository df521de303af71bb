"""kill -9 at random: each of the four services so many times, while repairs go on on RabbitMQ and PostgreSQL.

    python -m tests.faults.kill --times 100 [--service intake ...] [--seed 1] [--folder DIR]

Ends with clean books (`tests/faults/books.py`) or an AssertionError.
"""

import argparse
import asyncio
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.faults import checks
from tests.faults.lives import PROPERTY, Clients, Town
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
    lives: int = 8,
) -> dict[str, int]:
    """Kill each victim `times` times while `lives` repairs go on side by side; what was counted."""
    write_property(folder / "properties", PROPERTY)
    group = Processes(folder, folder / "properties", database_url=database_url, amqp_url=amqp_url)
    try:
        running = {name: group.make(name) for name in SERVICES}
        for process in running.values():
            process.launch()
        await asyncio.gather(*(ready(process) for process in running.values()))
        clients = Clients(running)
        try:
            town = Town(clients, seed)
            await _kill_while_living(town, running, victims, times, seed, lives)
            took = await checks.settled(clients)
            counted = await checks.check(clients, town.lives)
            return counted | {"kills": times * len(victims), "settled_after_seconds": round(took)}
        finally:
            await clients.close()
    finally:
        group.close()


async def _kill_while_living(
    town: Town,
    running: dict[str, ServiceProcess],
    victims: tuple[str, ...],
    times: int,
    seed: int,
    lives: int,
) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(town.live(lives))
        await kill_often([running[name] for name in victims], times, random.Random(seed))
        town.closing.set()


async def kill_often(victims: Sequence[ServiceProcess], times: int, chance: random.Random) -> None:
    """Kill each so many times, in any order, at random moments; one in four while it is still starting."""
    order = [process for process in victims for _ in range(times)]
    chance.shuffle(order)
    for process in order:
        await asyncio.sleep(chance.uniform(0.0, 2.0))
        process.kill()
        process.launch()
        if chance.random() < 0.75:
            await ready(process)
    await asyncio.gather(*(ready(process) for process in victims))


async def ready(process: ServiceProcess, within: float = 60) -> None:
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
    parser.add_argument("--lives", type=int, default=8, help="repairs side by side")
    parser.add_argument("--folder", type=Path, help="where logs are kept; without: thrown away")
    args = parser.parse_args()
    servers.hide_settings()
    with tempfile.TemporaryDirectory() as scrap, servers.run_supervisor():
        folder = args.folder or Path(scrap)
        folder.mkdir(parents=True, exist_ok=True)
        with fresh_database() as database_url, fresh_vhost() as amqp_url:
            began = time.monotonic()
            victims = tuple(args.service or SERVICES)
            work = campaign(
                folder,
                database_url,
                amqp_url,
                victims=victims,
                times=args.times,
                seed=args.seed,
                lives=args.lives,
            )
            print(asyncio.run(work), f"in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
