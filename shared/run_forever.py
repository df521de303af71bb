"""Runs what goes on for as long as a service does: repeated, backed off and logged in one place."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

_log = structlog.stdlib.get_logger(__name__)
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0
"""Seconds of back-off after the first failure, doubled with each that follows, up to the longest."""


async def run_forever(
    name: str,
    work: Callable[[], Awaitable[object]],
    *,
    every: float = 0,
    is_temporary: Callable[[Exception], bool] = lambda _: False,
    until: Callable[[], bool] = lambda: False,
) -> None:
    """Do `work`, rest for `every` seconds, and again, until cancelled or `until` says so between two rounds.

    What fails is logged, with its trace unless the failure `is_temporary`, and tried again after a while.
    """
    pause = _FIRST_PAUSE
    while not until():
        try:
            await work()
        except Exception as error:
            _log.warning(
                "work failed", work=name, error=type(error).__name__, exc_info=not is_temporary(error)
            )
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
            continue
        pause = _FIRST_PAUSE
        if every:
            await asyncio.sleep(every)
