"""What a round came to, the median of rounds, and how figures are written."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bench.cpu_meter import CLIENT, CpuMeter
from bench.rounds import median_or_nan

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
    extra: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of_round(cls, count: int, seconds: float, meter: CpuMeter, **extra: float) -> "Outcome":
        """`count` operations that took `seconds`, measured by `meter`."""
        return cls(count, count / seconds, meter.per_operation(count), meter.others, extra=extra)

    @property
    def cost(self) -> float:
        """CPU of an operation in us: its own processes and the servers, without the client that drives it."""
        return sum(cost for name, cost in self.cpu.items() if name != CLIENT)

    def __str__(self) -> str:
        cost = " ".join(f"{name} {outcome:,.0f}" for name, outcome in self.cpu.items())
        latency = f", p50 {self.p50:.1f} ms, p99 {self.p99:.1f} ms" if self.p99 else ""
        extra = "".join(f", {name} {value:.2f}" for name, value in self.extra.items())
        others = f"others {self.others:.2f} cores"
        return f"{self.count:,} at {self.rate:,.1f}/s{latency}{extra}; us each: {cost}; {others}"


def pick_median_outcome(outcomes: Sequence[Outcome]) -> Outcome:
    """The median of every figure by itself; of the rounds that were not noisy, where there are such."""
    outcomes = keep_calm(outcomes)

    def medians_of(parts: list[dict[str, float]]) -> dict[str, float]:
        return {name: median_or_nan([part[name] for part in parts if name in part]) for name in parts[0]}

    return Outcome(
        count=round(median_or_nan([outcome.count for outcome in outcomes])),
        rate=median_or_nan([outcome.rate for outcome in outcomes]),
        cpu=medians_of([outcome.cpu for outcome in outcomes]),
        others=max(outcome.others for outcome in outcomes),
        memory=medians_of([outcome.memory for outcome in outcomes]),
        p50=median_or_nan([outcome.p50 for outcome in outcomes]),
        p99=median_or_nan([outcome.p99 for outcome in outcomes]),
        extra=medians_of([outcome.extra for outcome in outcomes]),
    )


def keep_calm(outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
    """The rounds that were not noisy, where there are such; else all."""
    return [outcome for outcome in outcomes if outcome.others < NOISY] or outcomes


def list_ratios(
    ours: Sequence[Outcome], others: Sequence[Outcome], read: Callable[[Outcome], float] | None = None
) -> list[float]:
    """Ours by the other's, of each interleaved round; `read` is their rate where it is not named.

    Rounds in which one of the two was noisy count only where no better one is there.
    """
    read = read or (lambda outcome: outcome.rate)
    pairs = list(zip(ours, others, strict=True))
    calm = [pair for pair in pairs if all(outcome.others < NOISY for outcome in pair)]
    return [read(mine) / read(other) for mine, other in calm or pairs]


def format_cpu_ratio(ours: Outcome, other: Outcome) -> str:
    """How many times the other's operations ours does for the same CPU, which noise moves less."""
    return f"by CPU {other.cost / ours.cost:.2f} x"


def format_cpu(outcome: Outcome) -> str:
    """CPU of an operation, whole and by group."""
    parts = ", ".join(f"{name} {_format_time(cost)}" for name, cost in outcome.cpu.items() if name != CLIENT)
    return f"{_format_time(outcome.cost)} ({parts}); client {_format_time(outcome.cpu.get(CLIENT, 0))}"


def format_memory(outcome: Outcome) -> str:
    """Megabytes by process."""
    return ", ".join(f"{name} {size:.0f}" for name, size in outcome.memory.items()) + " MB"


def _format_time(microseconds: float) -> str:
    return f"{microseconds / 1000:,.1f} ms" if microseconds >= 1000 else f"{microseconds:,.0f} us"


def format_noise(outcomes: Mapping[str, Sequence[Outcome]]) -> tuple[str, str]:
    """What a row says of the noise: the cores that something else used, of the rounds that counted."""
    others = [outcome.others for rounds in outcomes.values() for outcome in keep_calm(rounds)]
    return "noise: cores that something else used, at most", f"{max(others):.2f}"
