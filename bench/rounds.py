"""Rounds of all contenders, one after another and every other time backwards, and their medians."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from statistics import median
from typing import TypeVar

from rich.console import Console

from bench.cpu_meter import machine_seconds
from bench.sizes import count_rounds, patience

Outcome = TypeVar("Outcome")
_BUSY_CORES, _LOOK_SECONDS = 0.5, 0.5
_console = Console(stderr=True, width=170)


async def run_interleaved(
    contenders: Mapping[str, Callable[[], Awaitable[Outcome]]], times: int | None = None
) -> dict[str, list[Outcome]]:
    """Run each contender `times` times: A B C, C B A, …; the outcomes of each."""
    outcomes: dict[str, list[Outcome]] = {name: [] for name in contenders}
    for number in range(times or count_rounds()):
        order = list(contenders) if number % 2 == 0 else list(contenders)[::-1]
        for name in order:
            await wait_for_calm()
            outcome = await contenders[name]()
            outcomes[name].append(outcome)
            _console.print(f"  round {number + 1}, {name}: {outcome}", style="dim")
    return outcomes


async def wait_for_calm() -> None:
    """Wait while something else keeps the machine busy, but no longer than BENCH_PATIENCE seconds."""
    until = time.monotonic() + patience()
    while time.monotonic() < until:
        before = machine_seconds()
        await asyncio.sleep(_LOOK_SECONDS)
        if (machine_seconds() - before) / _LOOK_SECONDS < _BUSY_CORES:
            return


def median_or_nan(values: list[float]) -> float:
    """The median; not a number where there are none."""
    return median(values) if values else float("nan")
