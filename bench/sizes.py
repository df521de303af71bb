"""How large a run is: settings of the environment, read when they are asked for.

QUICK is `--quick`; the tests run every program in a shorter form still.
"""

import os

QUICK = {
    "BENCH_ROUNDS": "1",
    "BENCH_SECONDS": "2",
    "BENCH_PATIENCE": "0",
    "BENCH_CASES": "20000",
    "BENCH_SCRAPES": "60",
    "BENCH_DEMANDS": "60",
    "BENCH_TIMED": "100",
    "BENCH_OPEN_CASES": "150",
    "BENCH_WATCHERS": "20",
    "BENCH_SOAK_SECONDS": "20",
}


def count_rounds(at_most: int = 100) -> int:
    """How many rounds (BENCH_ROUNDS)."""
    return min(at_most, int(os.environ.get("BENCH_ROUNDS", "3")))


def round_seconds(default: float) -> float:
    """How long a contender runs in a round: `default`, or BENCH_SECONDS where it is given."""
    return float(os.environ.get("BENCH_SECONDS") or default)


def settling_seconds() -> float:
    """How long after its start a process is not idle yet."""
    return round_seconds(3.0)


def patience() -> float:
    """How many seconds a round waits for the machine to be calm, at most (BENCH_PATIENCE)."""
    return float(os.environ.get("BENCH_PATIENCE", "10"))


def repairs_at_once(default: int) -> int:
    """How many repairs of ours are under way at any time (BENCH_AT_ONCE)."""
    return int(os.environ.get("BENCH_AT_ONCE") or default)


def has_peers() -> bool:
    """Whether peers are measured beside the product (BENCH_PEERS is not 0).

    Without them its floors are left, which run in its own environment.
    """
    return os.environ.get("BENCH_PEERS") != "0"


def history_cases() -> int:
    """How many cases, or events, the longest history holds (BENCH_CASES)."""
    return int(os.environ.get("BENCH_CASES", "1000000"))


def month_days() -> int:
    """How many days of the month that a history is copied from are simulated (BENCH_DAYS)."""
    return int(os.environ.get("BENCH_DAYS", "30"))


def scrape_count() -> int:
    """How many scrapes of each database in a round (BENCH_SCRAPES)."""
    return int(os.environ.get("BENCH_SCRAPES", "100"))


def demand_count() -> int:
    """How many demands are raised on each history in a round (BENCH_DEMANDS)."""
    return int(os.environ.get("BENCH_DEMANDS", "300"))


def property_count(default: int) -> int:
    """How many properties are many (BENCH_PROPERTIES)."""
    return int(os.environ.get("BENCH_PROPERTIES") or default)


def timed_demands() -> int:
    """How many demands have deadlines that nobody keeps (BENCH_TIMED)."""
    return int(os.environ.get("BENCH_TIMED", "300"))


def open_cases() -> int:
    """How many open cases the board has (BENCH_OPEN_CASES)."""
    return int(os.environ.get("BENCH_OPEN_CASES", "2000"))


def watcher_count() -> int:
    """How many watch its stream (BENCH_WATCHERS)."""
    return int(os.environ.get("BENCH_WATCHERS", "200"))


def soak_seconds() -> float:
    """How long the long load lasts (BENCH_SOAK_SECONDS)."""
    return float(os.environ.get("BENCH_SOAK_SECONDS", "3600"))


def soak_rate() -> float:
    """How many repairs a second it begins (BENCH_SOAK_RATE)."""
    return float(os.environ.get("BENCH_SOAK_RATE", "10"))
