"""The thirteen goals as they are aimed at now, and whether rounds reach them, judged on their own noise."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

Bound = Literal["at least", "at most", "below"]
_SIGNS: dict[Bound, str] = {"at least": ">=", "at most": "<=", "below": "<"}


@dataclass(frozen=True)
class Aim:
    """What a figure is to reach; `unit` is the figure's own."""

    goal: int
    bound: Bound
    value: float
    unit: str

    def __str__(self) -> str:
        return f"{_SIGNS[self.bound]} {self.value:g} {self.unit}"

    def reached_by(self, value: float) -> bool:
        """Whether this value is where it is to be; never what is not a number."""
        if self.bound == "at least":
            return value >= self.value
        return value <= self.value if self.bound == "at most" else value < self.value

    def judge(self, values: Sequence[float]) -> str:
        """`met` or `missed` by the median; "within the noise" where some rounds say otherwise."""
        verdict = "met" if self.reached_by(median(values)) else "missed"
        agreed = len({self.reached_by(value) for value in values}) == 1
        return verdict if agreed else f"{verdict}, within the noise"


INTAKE_BESIDE_FLOOR = Aim(1, "at least", 0.45, "x floor")
INTAKE_BESIDE_ORM = Aim(1, "at least", 12, "x FastAPI with an ORM")
INTAKE_OUTBOX_AGE = Aim(1, "below", 1, "s")
BATCHES_BESIDE_FLOOR = Aim(2, "at least", 1.1, "x floor's single demands")
BATCHES_OUTBOX_AGE = Aim(2, "below", 1, "s")
DEMAND_CPU = Aim(3, "at most", 110, "us")
REPAIRS_BESIDE = {
    "by hand": Aim(4, "at least", 0.75, "x by hand"),
    "Celery": Aim(4, "at least", 6, "x Celery"),
    "DBOS": Aim(4, "at least", 10, "x DBOS"),
    "procrastinate": Aim(4, "at least", 8, "x procrastinate"),
}
LATENCY = {40: Aim(5, "at most", 20, "ms"), 150: Aim(5, "at most", 60, "ms")}
"""By demands a second."""
LATENCY_BESIDE_DBOS = Aim(5, "below", 1, "x DBOS")
LATENCY_CPU = Aim(5, "at most", 10, "ms")
GROWTH = Aim(6, "at most", 1.15, "x the smallest")
PAGE = Aim(6, "below", 5, "ms")
DUE_TIMER = Aim(6, "below", 1, "ms")
SEARCH = Aim(6, "below", 20, "ms")
SCRAPE = Aim(7, "at most", 5, "ms")
SCRAPE_SCANS = Aim(7, "at most", 0, "scans")
FACT_SHOWN = Aim(7, "at most", 1, "s")
IDLE_BESIDE_ONE = Aim(7, "at most", 1.2, "x one property")
"""The goal is that it does not depend on their number; a fifth is what rounds differ by themselves."""
REBUILD = Aim(8, "at most", 40, "s")
REBUILD_SERVES = Aim(8, "at most", 0, "other answers")
EMBEDDED_RATE = Aim(9, "at least", 220, "repairs/s")
EMBEDDED_START = Aim(9, "at most", 1.2, "s")
EMBEDDED_MEMORY = Aim(9, "at most", 130, "MB")
EMBEDDED_IDLE = Aim(9, "at most", 10, "ms a second")
SOAK_MEMORY = Aim(10, "at most", 130, "MB")
SOAK_MEMORY_SLOPE = Aim(10, "at most", 5, "MB an hour")
SOAK_HANDLES_SLOPE = Aim(10, "at most", 1, "an hour")
"""Flat, but for what a fit over an hour can't tell apart."""
SOAK_TABLES = Aim(10, "at most", 0, "tables")
COPIES_LEAST_SHARE = Aim(11, "at least", 0.4, "of the work")
"""Of two copies, the one that did less: 0.4 means 40 to 60 %."""
COPIES_TWICE = Aim(11, "at most", 0, "sent twice")
COPIES_CPU = Aim(11, "at most", 1.1, "x one copy")
BOARD_PAINT = Aim(12, "at most", 1, "s")
BOARD_LATENCY = Aim(12, "at most", 100, "ms")
BOARD_CPU = Aim(12, "at most", 10, "us")
DISK = Aim(13, "at most", 25, "KB")
