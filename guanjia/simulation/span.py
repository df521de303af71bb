"""A simulated span on a process of its own: from an empty folder to the rates at its end."""

import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

from guanjia.process import SERVICES, Process
from guanjia.simulation.case_registry import OBSERVED_QUEUES
from guanjia.simulation.client import SimulationClient
from guanjia.simulation.plan import build_scenario
from guanjia.simulation.simulated_property import PROPERTY, write_property
from guanjia.simulation.simulation import SLOW_QUEUES, Simulation, SimulationProgress
from guanjia.simulation.virtual_process import VirtualProcess
from services.kpi.domain.windows import WINDOWS
from shared.clock import ManualClock
from shared.properties.loader import load_properties
from shared.settings import Settings

Rates = dict[str, list[tuple[str, str, str]]]
"""Window → (kpi, numerator, denominator) of every rate."""


class SimulatedSpan:
    """The process at the end of a span, and what happened in it."""

    def __init__(self, virtual: VirtualProcess, client: SimulationClient, counts: Counter[str]) -> None:
        self.virtual, self.client, self.counts = virtual, client, counts
        self.settings = virtual.process.settings

    async def list_rates(self) -> Rates:
        """All rates in all windows, as of the end."""
        return {
            window: [(r.kpi, r.numerator, r.denominator) for r in await self.client.list_rates(window)]
            for window in WINDOWS
        }


@asynccontextmanager
async def simulate_span(
    folder: Path, seed: int, start: datetime, end: datetime, report: Callable[[SimulationProgress], None]
) -> AsyncIterator[SimulatedSpan]:
    """Simulate from `start` to `end` in the empty `folder`; its databases hold it all when this is left."""
    key, clock = secrets.token_hex(16), ManualClock(start)
    write_property(folder / "properties")
    settings = _make_settings(folder, key)
    scenario = build_scenario(seed, load_properties(settings.properties_dir)[PROPERTY], start, end)
    virtual = VirtualProcess(Process(list(SERVICES), settings, clock), clock, slow_queues=SLOW_QUEUES)
    client = SimulationClient(virtual.http, key, scenario.prop)
    simulation = Simulation(scenario, client)
    virtual.listen(OBSERVED_QUEUES, simulation.cases.note_events)
    async with virtual:
        await simulation.run(virtual, report)
        yield SimulatedSpan(virtual, client, simulation.counts)


def _make_settings(folder: Path, key: str) -> Settings:
    embedded = {"database_url": "", "amqp_url": "", "bootstrap_key": key}
    return Settings.model_validate({"data_dir": folder, "properties_dir": folder / "properties", **embedded})
