"""`guanjia simulate` from beginning to end: refused where it could harm, lived aside, kept when whole."""

import socket
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from guanjia.simulate.keeping import found, keep, remove
from guanjia.simulate.life import Lived
from guanjia.simulate.living import Rates, lived
from guanjia.simulate.place import PROPERTY
from shared.properties import load_properties
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
    with tempfile.TemporaryDirectory(prefix="guanjia-simulated-") as folder:
        start = until - timedelta(days=days)
        async with lived(Path(folder), seed, start, until, report) as span:
            rates = await span.rates()
        await keep(span.settings, settings)
    return rates


async def take_away(settings: Settings) -> int:
    """Remove what was simulated; how many rows. Raises Refused while the services run."""
    _check_not_running(settings)
    return await remove(settings)


async def check(settings: Settings) -> None:
    """Raises Refused where a simulation could harm."""
    _check_not_running(settings)
    if PROPERTY in load_properties(settings.properties_dir):
        raise Refused(f"物业项目 {PROPERTY} 已在配置中。 {PROPERTY} is configured as a real property.")
    there = await found(settings)
    if there.others:
        raise Refused(
            f"{PROPERTY} 已有真实数据。 {PROPERTY} has events of other sources: nothing is touched."
        )
    if there.simulated:
        raise Refused("已有模拟数据，请先 --remove。 There is a simulation already; --remove it first.")


def _check_not_running(settings: Settings) -> None:
    try:
        socket.create_connection((settings.host, settings.port), timeout=0.5).close()
    except OSError:
        return
    raise Refused(
        f"{settings.host}:{settings.port} 正在运行，请先停止服务。 Something serves there: stop it first."
    )
