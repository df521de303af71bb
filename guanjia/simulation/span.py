"""A whole simulated span on a process of its own: from an empty folder to the rates at its end."""

import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

from guanjia.process import SERVICES, Process
from guanjia.simulation.client import SimulationClient
from guanjia.simulation.life import HEARD, SLOW, Life, Lived
from guanjia.simulation.plan import setting
from guanjia.simulation.simulated_property import PROPERTY, write_property
from guanjia.simulation.virtual_process import Heard, VirtualProcess
from services.kpi.domain.windows import WINDOWS
from shared.clock import ManualClock
from shared.properties.loader import load_properties
from shared.settings import Settings

Rates = dict[str, list[tuple[str, str, str]]]


class Span:
    """What was lived: the world at its end, and what happened in it."""

    def __init__(self, world: VirtualProcess, door: SimulationClient, life: Life) -> None:
        self.world, self.door, self._life = world, door, life
        self.settings = world.process.settings

    @property
    def counts(self) -> Counter[str]:
        """How many events, demands, cases, steps … there were."""
        return self._life.counts

    async def rates(self) -> Rates:
        """Window → (kpi, numerator, denominator) of every rate, as of the end."""
        return {
            window: [(r["kpi"], r["numerator"], r["denominator"]) for r in await self.door.rates(window)]
            for window in WINDOWS
        }


@asynccontextmanager
async def lived(
    folder: Path, seed: int, start: datetime, end: datetime, report: Callable[[Lived], None]
) -> AsyncIterator[Span]:
    """Live from `start` to `end` in the empty `folder`; its databases hold it all when this is left."""
    properties = folder / "properties"
    write_property(properties)
    key, clock = secrets.token_hex(16), ManualClock(start)
    told = {"data_dir": folder, "properties_dir": properties, "database_url": "", "amqp_url": "",
            "bootstrap_key": key}  # fmt: skip
    process = Process(list(SERVICES), Settings.model_validate(told), clock)
    where = setting(seed, load_properties(properties)[PROPERTY], start, end)
    life: list[Life] = []
    heard: dict[str, Heard] = {queue: lambda events: life[0].hear(events) for queue in HEARD}
    world = VirtualProcess(process, clock, heard=heard, slow=SLOW)
    door = SimulationClient(world.http, key, where.prop)
    life.append(Life(where, door))
    async with world:
        await life[0].live(world, report)
        yield Span(world, door, life[0])
