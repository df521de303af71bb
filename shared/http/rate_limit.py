"""How often somebody may do something, per key, in the memory of the process: each copy counts for itself."""

import math
import re
import time
from collections.abc import Callable

from shared.errors import TooManyRequests

_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "month": 30 * 86400, "year": 360 * 86400}
_RATE = re.compile(rf"\s*([1-9]\d*)\s*(?:/|per)\s*([1-9]\d*)?\s*({'|'.join(_SECONDS)})s?\s*", re.IGNORECASE)
_FEW_KEYS = 1000


class RateLimiter:
    """One rate, as in "100/second" or "5 per 10 minutes", for any number of keys.

    A key may use the whole rate at once; what it used comes back evenly. All that is kept is one number:
    when the rate is whole again. Raises `ValueError` for a rate that is none.
    """

    def __init__(self, rate: str, clock: Callable[[], float] = time.monotonic) -> None:
        match = _RATE.fullmatch(rate)
        if match is None:
            raise ValueError(f"no rate, as in 100/second: {rate!r}")
        self._amount = int(match[1])
        self._period = int(match[2] or 1) * _SECONDS[match[3].lower()]
        self._clock = clock
        self.whole_at: dict[str, float] = {}
        self._most_keys = _FEW_KEYS

    def check(self, key: str, count: int = 1) -> None:
        """Count `count` of `key`; more than the whole rate counts as all of it. Raises `TooManyRequests`."""
        now = self._clock()
        cost = min(count, self._amount) * self._period / self._amount
        whole_at = max(now, self.whole_at.get(key, now)) + cost
        if (wait := whole_at - now - self._period) > 1e-6:
            raise TooManyRequests(max(1, math.ceil(wait)))
        self.whole_at[key] = whole_at
        if len(self.whole_at) > self._most_keys:
            self._forget_whole(now)

    def _forget_whole(self, now: float) -> None:
        """Forget whose allowance is whole, once there are twice as many keys as were left the last time."""
        self.whole_at = {key: at for key, at in self.whole_at.items() if at > now}
        self._most_keys = max(_FEW_KEYS, 2 * len(self.whole_at))
