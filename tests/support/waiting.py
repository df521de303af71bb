"""Bounded waiting: poll until something is true, and say what was seen when it never is."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

Seen = TypeVar("Seen")


class WaitTimedOut(AssertionError):
    """What was waited for did not come true in time; carries the last thing seen."""


async def eventually(
    probe: Callable[[], Awaitable[Seen]],
    until: Callable[[Seen], bool] = bool,
    *,
    within: float = 10.0,
    every: float = 0.02,
) -> Seen:
    """Call `probe` until `until` holds of its answer, at most `within` seconds.

    An exception of the probe counts as "not yet"; the last one is the cause of NeverHappened.
    """
    deadline, seen, trouble = time.monotonic() + within, "nothing", None
    while True:
        try:
            answer = await probe()
            if until(answer):
                return answer
            seen, trouble = repr(answer), None
        except Exception as error:
            seen, trouble = repr(error), error
        if time.monotonic() > deadline:
            raise WaitTimedOut(f"not within {within} s; last seen: {seen[:2000]}") from trouble
        await asyncio.sleep(every)


def eventually_now(probe: Callable[[], Seen], *, within: float = 10.0, every: float = 0.05) -> Seen:
    """The same for code without an event loop: the first truthy answer of `probe`."""
    deadline, seen = time.monotonic() + within, "nothing"
    while True:
        try:
            answer = probe()
            if answer:
                return answer
            seen = repr(answer)
        except OSError as error:
            seen = repr(error)
        if time.monotonic() > deadline:
            raise WaitTimedOut(f"not within {within} s; last seen: {seen[:2000]}")
        time.sleep(every)
