"""`guanjia simulate` from beginning to end: refused where it could harm, run apart, copied when whole."""

import fcntl
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory

from guanjia.simulation.removal import delete_simulation
from guanjia.simulation.simulated_property import PROPERTY
from guanjia.simulation.simulation import SimulationProgress
from guanjia.simulation.span import Rates, simulate_span
from guanjia.simulation.storage import count_events, is_stored, store_simulation
from shared.properties.loader import load_properties
from shared.settings import Settings


class SimulationRefused(Exception):
    """It is not done, and why, in Chinese and English."""


def current_minute(until: datetime | None = None) -> datetime:
    """The last whole minute, or that of `until`."""
    at = (until or datetime.now(UTC)).astimezone(UTC)
    return at.replace(second=0, microsecond=0)


async def run_simulation(
    settings: Settings, seed: int, days: int, until: datetime, report: Callable[[SimulationProgress], None]
) -> Rates:
    """Simulate `days` until `until` and store them; the rates at the end. Raises SimulationRefused.

    It runs in a folder of its own; the services' data is touched once, when it is whole.
    """
    await check_simulation_allowed(settings)
    with _working_folder(settings) as folder:
        start = until - timedelta(days=days)
        async with simulate_span(folder, seed, start, until, report) as span:
            rates = await span.list_rates()
        _check_nothing_serves(settings)  # a while has gone by
        await store_simulation(span.settings, settings)
    return rates


async def remove_simulation(settings: Settings) -> int:
    """Remove what was simulated; how many rows. Raises SimulationRefused while the services run."""
    _check_nothing_serves(settings)
    with _working_folder(settings):
        return await delete_simulation(settings)


async def check_simulation_allowed(settings: Settings) -> None:
    """Raises SimulationRefused where a simulation could harm."""
    _check_nothing_serves(settings)
    if PROPERTY in load_properties(settings.properties_dir):
        raise SimulationRefused(
            f"物业项目 {PROPERTY} 已在配置中。 {PROPERTY} is configured as a real property."
        )
    if (await count_events(settings)).others:
        raise SimulationRefused(
            f"{PROPERTY} 已有真实数据。 {PROPERTY} has events of other sources: nothing is touched."
        )
    if await is_stored(settings):
        raise SimulationRefused(
            "已有模拟数据，请先 --remove。 There is a simulation already; --remove it first."
        )


@contextmanager
def _working_folder(settings: Settings) -> Iterator[Path]:
    """An empty folder in the data folder, for one at a time; what a killed process left goes first."""
    parent = settings.data_dir / "simulating"
    parent.mkdir(parents=True, exist_ok=True)
    with (parent / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SimulationRefused(
                "正在模拟，请稍候。 Somebody is simulating there at this moment."
            ) from None
        for leftover in parent.glob("*/"):
            rmtree(leftover, ignore_errors=True)
        try:
            with TemporaryDirectory(dir=parent) as folder:
                yield Path(folder)
        finally:
            rmtree(parent, ignore_errors=True)


def _check_nothing_serves(settings: Settings) -> None:
    try:
        socket.create_connection((settings.host, settings.port), timeout=0.5).close()
    except OSError:
        return
    raise SimulationRefused(
        f"{settings.host}:{settings.port} 正在运行，请先停止服务。 Something serves there: stop it first."
    )
