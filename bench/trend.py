"""Whether what is sampled over a long time grows: memory and open files of processes."""

import asyncio
import contextlib
import statistics
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from bench.cpu_meter import resident_megabytes

_HOUR = 3600.0
Samples = list[tuple[float, float]]
"""(seconds, value)."""


def fit_slope(samples: Sequence[tuple[float, float]]) -> list[float]:
    """What the values grow by in an hour: at least, likely, at most (two standard errors to either side).

    Not a number where there are fewer than three samples.
    """
    if len(samples) < 3:
        return [float("nan")] * 3
    instants, values = zip(*samples, strict=True)
    slope, intercept = statistics.linear_regression(instants, values)
    squares = sum((value - slope * at - intercept) ** 2 for at, value in samples)
    spread = sum((at - statistics.fmean(instants)) ** 2 for at in instants)
    error = (squares / (len(samples) - 2) / spread) ** 0.5
    return [(slope + offset * error) * _HOUR for offset in (-2, 0, 2)]


def count_handles(*pids: int) -> int:
    """How many files and sockets these processes have open."""
    return sum(1 for pid in pids for _ in Path(f"/proc/{pid}/fd").iterdir())


def peak_megabytes(*pids: int) -> float:
    """The most memory that these processes ever held (resident), summed."""
    statuses = (Path(f"/proc/{pid}/status").read_text() for pid in pids)
    return sum(int(status.split("VmHWM:")[1].split()[0]) for status in statuses) / 1024


class ProcessWatch:
    """Memory in MB and open handles of processes by name, sampled every so many seconds."""

    def __init__(self, pids: Mapping[str, Sequence[int]], every: float) -> None:
        self._pids, self._every = pids, every
        self.memory: defaultdict[str, Samples] = defaultdict(list)
        self.handles: defaultdict[str, Samples] = defaultdict(list)

    @contextlib.asynccontextmanager
    async def watch(self) -> AsyncIterator[None]:
        """Sample while inside."""
        async with asyncio.TaskGroup() as group:
            sampler = group.create_task(self._sample())
            yield
            sampler.cancel()

    async def _sample(self) -> None:
        while True:
            at = time.perf_counter()
            for name, pids in self._pids.items():
                self.memory[name].append((at, resident_megabytes(*pids)))
                self.handles[name].append((at, count_handles(*pids)))
            await asyncio.sleep(self._every)
