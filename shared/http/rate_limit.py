"""How often somebody may do something: within a moving window, per key, in the memory of the process."""

import math
import time

from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from shared.errors import TooManyRequests


class RateLimiter:
    """One rate, as in "100/second", for any number of keys."""

    def __init__(self, rate: str) -> None:
        self._rate = parse(rate)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def check(self, key: str, count: int = 1) -> None:
        """Count `count` of `key`; more than the whole rate counts as all of it. Raises `TooManyRequests`."""
        if not self._limiter.hit(self._rate, key, cost=min(count, self._rate.amount)):
            reset, _ = self._limiter.get_window_stats(self._rate, key)
            raise TooManyRequests(max(1, math.ceil(reset - time.time())))
