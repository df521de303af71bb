"""How far a demand goes through the code: files, and hops from file to file, from the request to its case.

    python -m tests.house.demand_path [--trail]

One demand is posted, published and opened, in one process on SQLite, everything warm. A profile sees each
call of a function of ours; a hop is a call in another file than the call before it.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

import httpx

from guanjia.process import SERVICES, Process
from shared.clock import ManualClock
from shared.messaging.embedded import EmbeddedBus
from shared.settings import PROJECT, Settings
from tests.support.properties import write_property

OURS = tuple(f"{PROJECT / name}/" for name in ("shared", "services", "guanjia"))
CALLED = 8
"""A frame that has come no further (in bytes of its code) is called; beyond that it is resumed."""
BESIDE = "bus watch"
"""The task that is no part of the way."""
DEMAND = {
    "property": "tower",
    "kind": "repair",
    "summary": "The tap drips",
    "subject": "water_supply",
    "location": {"floor": 12, "unit": "1203"},
    "requester": {"id": "r1", "name": "Li", "phone": "13800138000"},
}


class Trail:
    """The way through one part: the file and function of each hop."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, str]] = []

    @property
    def files(self) -> set[str]:
        """Every file that the way leads through."""
        return {file for file, _ in self.steps}

    def note(self, frame: FrameType, event: str, _: object) -> None:
        """A profile function: see `sys.setprofile`."""
        file = frame.f_code.co_filename
        if event != "call" or frame.f_lasti > CALLED or not file.startswith(OURS):
            return
        task = asyncio.current_task()
        if task is not None and task.get_name() == BESIDE:
            return
        if not self.steps or self.steps[-1][0] != file:
            self.steps.append((file, frame.f_code.co_qualname))


@contextmanager
def followed(trail: Trail) -> Iterator[None]:
    """Note every call in the block."""
    sys.setprofile(trail.note)
    try:
        yield
    finally:
        sys.setprofile(None)


async def follow(folder: Path) -> dict[str, Trail]:
    """The three parts of the way of a second demand, by name."""
    write_property(folder / "properties", "tower")
    settings = Settings(
        database_url="",
        amqp_url="",
        bootstrap_key="",
        data_dir=folder / "data",
        properties_dir=folder / "properties",
    )
    process = Process(list(SERVICES), settings, ManualClock(datetime(2026, 11, 23, 4, tzinfo=UTC)))
    for service in process.services:
        await service.migrate_and_prepare()
    try:
        await post_and_open(process)
        return await post_and_open(process)
    finally:
        await process.stop()


async def post_and_open(process: Process) -> dict[str, Trail]:
    """Let one demand go the whole way."""
    intake, dispatch = process.services[:2]
    bus = intake.bus
    assert isinstance(bus, EmbeddedBus)
    await bus.start({})
    consumer = dispatch.consumers()["dispatch.demands"]
    _, key = process.keyring.issue_key("app", ["source"], None, None)
    headers = {"Authorization": f"Bearer {key}"}
    trails = {name: Trail() for name in ("accepted", "published", "opened")}
    transport = httpx.ASGITransport(process.app())
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        with followed(trails["accepted"]):
            (await http.post("/v1/demands", json=DEMAND, headers=headers)).raise_for_status()
    with followed(trails["published"]):
        await intake.relay.drain()
    with followed(trails["opened"]):
        assert await bus.deliver_batch("dispatch.demands", consumer) == 1
    return trails


def figures(trails: Sequence[Trail]) -> tuple[int, int]:
    """Files and hops of these parts together."""
    return len(set().union(*(trail.files for trail in trails))), sum(len(trail.steps) for trail in trails)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trail", action="store_true", help="also each hop, in order")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        trails = asyncio.run(follow(Path(folder)))
    for name, trail in trails.items():
        print("{:10} {:3} files {:4} hops".format(name, *figures([trail])))
        for file, function in trail.steps if options.trail else ():
            print(f"    {Path(file).relative_to(PROJECT)}: {function}")
    print("{:10} {:3} files {:4} hops".format("together", *figures(list(trails.values()))))


if __name__ == "__main__":
    main()
