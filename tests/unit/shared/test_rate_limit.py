"""The rate of a key: whole at first, back evenly, one number a key, nothing kept of those who are gone."""

import pytest

from shared.errors import TooManyRequests
from shared.http.rate_limit import RateLimiter


class Watch:
    """A clock that stands until it is moved."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def count_allowed(limiter: RateLimiter, key: str, times: int) -> int:
    """How many of `times` are allowed."""
    allowed = 0
    for _ in range(times):
        try:
            limiter.check(key)
            allowed += 1
        except TooManyRequests:
            pass
    return allowed


def test_a_whole_rate_may_come_at_once_and_then_as_it_comes_back() -> None:
    watch = Watch()
    limiter = RateLimiter("60/minute", watch)
    assert count_allowed(limiter, "a", 100) == 60
    assert count_allowed(limiter, "b", 100) == 60, "each key by itself"
    watch.now += 7
    assert count_allowed(limiter, "a", 100) == 7
    watch.now += 3600
    assert count_allowed(limiter, "a", 100) == 60, "never more than the whole"


def test_over_a_long_time_no_more_than_the_rate_is_allowed() -> None:
    watch = Watch()
    limiter = RateLimiter("6000/second", watch)
    allowed = 0
    for _ in range(5_000):
        watch.now += 0.002
        allowed += count_allowed(limiter, "a", 20)
    assert 6000 * 10 <= allowed <= 6000 * 11


def test_who_is_refused_learns_when_it_would_be_allowed() -> None:
    watch = Watch()
    limiter = RateLimiter("5/minute", watch)
    limiter.check("a", 5)
    for count, seconds in ((1, 12), (2, 24), (5, 60), (500, 60)):
        with pytest.raises(TooManyRequests) as refusal:
            limiter.check("a", count)
        assert refusal.value.retry_after == seconds
    watch.now += 12
    limiter.check("a")


def test_what_is_more_than_the_whole_rate_takes_all_of_it() -> None:
    watch = Watch()
    limiter = RateLimiter("10/second", watch)
    limiter.check("a", 1000)
    assert count_allowed(limiter, "a", 1) == 0
    watch.now += 1
    limiter.check("a", 1000)


def test_keys_whose_rate_is_whole_again_are_forgotten() -> None:
    watch = Watch()
    limiter = RateLimiter("1/second", watch)
    for number in range(100_000):
        watch.now += 0.01
        limiter.check(str(number))
    assert len(limiter.whole_at) <= 1_001


@pytest.mark.parametrize(
    ("rate", "allowed"), [("3/second", 3), ("3 per minute", 3), ("2/10 minutes", 2), (" 4 / HOUR ", 4)]
)
def test_a_rate_is_read_as_people_write_it(rate: str, allowed: int) -> None:
    assert count_allowed(RateLimiter(rate, Watch()), "a", 10) == allowed


@pytest.mark.parametrize("rate", ["", "fast", "0/second", "5", "5/fortnight", "5/0 seconds", "-5/second"])
def test_what_is_no_rate_is_refused(rate: str) -> None:
    with pytest.raises(ValueError, match="no rate"):
        RateLimiter(rate)
