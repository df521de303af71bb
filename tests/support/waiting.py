"""Bounded waiting: poll until something is true, and say what was seen when it never is."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

Value = TypeVar("Value")


class WaitTimedOut(AssertionError):
    """What was waited for did not come true in time; carries the last thing seen."""


async def eventually(
    probe: Callable[[], Awaitable[Value]],
    until: Callable[[Value], bool] = bool,
    *,
    within: float = 10.0,
    every: float = 0.02,
) -> Value:
    """Call `probe` until `until` holds of its answer, at most `within` seconds.

    An exception of the probe counts as "not yet"; the last one is the cause of WaitTimedOut.
    """
    deadline, last_seen, failure = time.monotonic() + within, "nothing", None
    while True:
        try:
            value = await probe()
            if until(value):
                return value
            last_seen, failure = repr(value), None
        except Exception as error:
            last_seen, failure = repr(error), error
        if time.monotonic() > deadline:
            raise WaitTimedOut(f"not within {within} s; last seen: {last_seen[:2000]}") from failure
        await asyncio.sleep(every)


def eventually_now(probe: Callable[[], Value], *, within: float = 10.0, every: float = 0.05) -> Value:
    """The same for code without an event loop: the first truthy answer of `probe`."""
    deadline, last_seen = time.monotonic() + within, "nothing"
    while True:
        try:
            value = probe()
            if value:
                return value
            last_seen = repr(value)
        except OSError as error:
            last_seen = repr(error)
        if time.monotonic() > deadline:
            raise WaitTimedOut(f"not within {within} s; last seen: {last_seen[:2000]}")
        time.sleep(every)
