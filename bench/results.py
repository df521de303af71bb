"""What a round came to, the median of rounds, and how figures are written."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.cpu_meter import CLIENT, Meter
from bench.rounds import middle

NOISY = 0.5
"""Wall clock is not to be trusted where something else uses more cores than this."""


@dataclass
class Outcome:
    """One contender's round: operations a second, CPU of each in us by group, MB, latencies in ms."""

    count: int
    rate: float
    cpu: dict[str, float]
    others: float
    memory: dict[str, float] = field(default_factory=dict)
    p50: float = 0.0
    p99: float = 0.0
    more: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, count: int, seconds: float, meter: Meter, **more: float) -> "Outcome":
        """`count` operations that took `seconds`, measured by `meter`."""
        return cls(count, count / seconds, meter.each(count), meter.others, more=more)

    @property
    def cost(self) -> float:
        """CPU of an operation in us: its own processes and the servers, without the client that drives it."""
        return sum(spent for name, spent in self.cpu.items() if name != CLIENT)

    def __str__(self) -> str:
        spent = " ".join(f"{name} {each:,.0f}" for name, each in self.cpu.items())
        late = f", p50 {self.p50:.1f} ms, p99 {self.p99:.1f} ms" if self.p99 else ""
        more = "".join(f", {name} {value:.2f}" for name, value in self.more.items())
        others = f"others {self.others:.2f} cores"
        return f"{self.count:,} at {self.rate:,.1f}/s{late}{more}; us each: {spent}; {others}"


def typical(outcomes: Sequence[Outcome]) -> Outcome:
    """The median of every figure by itself; of the rounds that were not noisy, where there are such."""
    outcomes = [each for each in outcomes if each.others < NOISY] or outcomes

    def of(parts: list[dict[str, float]]) -> dict[str, float]:
        return {name: middle([part[name] for part in parts if name in part]) for name in parts[0]}

    return Outcome(
        count=round(middle([each.count for each in outcomes])),
        rate=middle([each.rate for each in outcomes]),
        cpu=of([each.cpu for each in outcomes]),
        others=max(each.others for each in outcomes),
        memory=of([each.memory for each in outcomes]),
        p50=middle([each.p50 for each in outcomes]),
        p99=middle([each.p99 for each in outcomes]),
        more=of([each.more for each in outcomes]),
    )


def ratio(ours: Outcome, other: Outcome) -> str:
    """How many times the other's operations ours does: by the clock, and by CPU, which noise moves less."""
    return f"{ours.rate / other.rate:.2f} x (by CPU {other.cost / ours.cost:.2f} x)"


def written_cpu(outcome: Outcome) -> str:
    """CPU of an operation, whole and by group."""
    parts = ", ".join(f"{name} {_time(spent)}" for name, spent in outcome.cpu.items() if name != CLIENT)
    return f"{_time(outcome.cost)} ({parts}); client {_time(outcome.cpu.get(CLIENT, 0))}"


def written_memory(outcome: Outcome) -> str:
    """Megabytes by process."""
    return ", ".join(f"{name} {size:.0f}" for name, size in outcome.memory.items()) + " MB"


def _time(microseconds: float) -> str:
    return f"{microseconds / 1000:,.1f} ms" if microseconds >= 1000 else f"{microseconds:,.0f} us"
