"""CPU and memory of processes, and how much of the machine something else used meanwhile."""

import os
import resource
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
CLIENT = "client"
"""Under this name a Meter keeps the CPU of the bench itself and of the load programs it waited for."""


def family(root: int) -> list[int]:
    """A process and all its living descendants."""
    children: dict[int, list[int]] = {}
    for pid, parent in _parents().items():
        children.setdefault(parent, []).append(pid)
    found, todo = [], [root]
    while todo:
        found.append(todo.pop())
        todo += children.get(found[-1], [])
    return found


def _parents() -> dict[int, int]:
    numbers = (int(place.name) for place in Path("/proc").iterdir() if place.name.isdigit())
    return {pid: int(fields[1]) for pid in numbers if (fields := _stat(pid))}


def _stat(pid: int) -> list[str]:
    """What follows the name in /proc/PID/stat; empty when the process has gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return []


def cpu_seconds(*roots: int) -> float:
    """What these processes and all their descendants have used, also those that have ended."""
    fields = [_stat(pid) for root in roots for pid in family(root)]
    return sum(int(ticks) for stat in fields if stat for ticks in stat[11:15]) / _TICK


def megabytes(*roots: int) -> float:
    """Memory that these processes and their descendants hold now (resident)."""
    return sum(_resident(pid) for root in roots for pid in family(root)) / 1024


def _resident(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return int(status.split("VmRSS:")[1].split()[0]) if "VmRSS:" in status else 0


def _own_seconds() -> float:
    """CPU of this process and of the children that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def machine_seconds() -> float:
    """CPU seconds that the whole machine has been busy."""
    fields = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / _TICK


class Meter:
    """Wall and CPU seconds over a `with` block: by named groups of processes, of the client, and of others.

    `others` is how many cores were busy with what is none of them: distrust wall clock above about 0.5.
    """

    def __init__(self, groups: Mapping[str, Sequence[int]]) -> None:
        self._groups = dict(groups)
        self.wall = self.others = 0.0
        self.cpu: dict[str, float] = {}

    def _read(self) -> dict[str, float]:
        return {name: cpu_seconds(*roots) for name, roots in self._groups.items()} | {CLIENT: _own_seconds()}

    def __enter__(self) -> "Meter":
        self._before, self._machine = self._read(), machine_seconds()
        self._started = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall = time.perf_counter() - self._started
        machine = machine_seconds() - self._machine
        self.cpu = {name: seconds - self._before[name] for name, seconds in self._read().items()}
        self.others = max(0.0, machine - sum(self.cpu.values())) / self.wall

    def each(self, count: int) -> dict[str, float]:
        """Microseconds of CPU per operation, by group."""
        return {name: seconds / max(1, count) * 1e6 for name, seconds in self.cpu.items()}
