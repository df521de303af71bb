"""Whether the broker or the database is away, and retrying while it is."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from shared.database.engine import is_transient
from shared.messaging.bus import BusDown

_log = structlog.stdlib.get_logger(__name__)


def is_temporary(error: BaseException) -> bool:
    """Whether the cause lies with the broker or the database, not with the work."""
    return isinstance(error, BusDown) or is_transient(error)


async def retry_while_unavailable(name: str, work: Callable[[], Awaitable[None]]) -> None:
    """Do `work`, again and again while the broker or the database that it needs is away."""
    pause = 0.1
    while True:
        try:
            await work()
            return
        except Exception as error:
            if not is_temporary(error):
                raise
            _log.warning("waiting", work=name, error=type(error).__name__)
            await asyncio.sleep(pause)
            pause = min(2 * pause, 2.0)
