"""`guanjia simulate` from beginning to end: refused where it could harm, lived aside, kept when whole."""

import fcntl
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory

from guanjia.simulation.life import Lived
from guanjia.simulation.simulated_property import PROPERTY
from guanjia.simulation.span import Rates, lived
from guanjia.simulation.storage import found, is_kept, keep, remove
from shared.properties.loader import load_properties
from shared.settings import Settings


class Refused(Exception):
    """It is not done, and why, in Chinese and English."""


def present(until: datetime | None = None) -> datetime:
    """The last whole minute, or that of `until`."""
    at = (until or datetime.now(UTC)).astimezone(UTC)
    return at.replace(second=0, microsecond=0)


async def simulate(
    settings: Settings, seed: int, days: int, until: datetime, report: Callable[[Lived], None]
) -> Rates:
    """Live `days` until `until` and keep them; the rates at the end. Raises Refused, and nothing is done.

    All of it is lived in a folder of its own; the services' data is touched once, when it is whole.
    """
    await check(settings)
    with _place_to_live(settings) as folder:
        start = until - timedelta(days=days)
        async with lived(folder, seed, start, until, report) as span:
            rates = await span.rates()
        _check_not_running(settings)  # a while has gone by
        await keep(span.settings, settings)
    return rates


async def take_away(settings: Settings) -> int:
    """Remove what was simulated; how many rows. Raises Refused while the services run."""
    _check_not_running(settings)
    with _place_to_live(settings):
        return await remove(settings)


async def check(settings: Settings) -> None:
    """Raises Refused where a simulation could harm."""
    _check_not_running(settings)
    if PROPERTY in load_properties(settings.properties_dir):
        raise Refused(f"物业项目 {PROPERTY} 已在配置中。 {PROPERTY} is configured as a real property.")
    if (await found(settings)).others:
        raise Refused(
            f"{PROPERTY} 已有真实数据。 {PROPERTY} has events of other sources: nothing is touched."
        )
    if await is_kept(settings):
        raise Refused("已有模拟数据，请先 --remove。 There is a simulation already; --remove it first.")


@contextmanager
def _place_to_live(settings: Settings) -> Iterator[Path]:
    """An empty folder below the data folder, for one at a time; what a killed one left there goes first."""
    around = settings.data_dir / "simulating"
    around.mkdir(parents=True, exist_ok=True)
    with (around / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused("正在模拟，请稍候。 Somebody is simulating there at this moment.") from None
        for left in around.glob("*/"):
            rmtree(left, ignore_errors=True)
        try:
            with TemporaryDirectory(dir=around) as folder:
                yield Path(folder)
        finally:
            rmtree(around, ignore_errors=True)


def _check_not_running(settings: Settings) -> None:
    try:
        socket.create_connection((settings.host, settings.port), timeout=0.5).close()
    except OSError:
        return
    raise Refused(
        f"{settings.host}:{settings.port} 正在运行，请先停止服务。 Something serves there: stop it first."
    )
