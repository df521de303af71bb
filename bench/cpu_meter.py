"""CPU and memory of processes, and how much of the machine something else used meanwhile."""

import os
import resource
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
CLIENT = "client"
"""Under this name a CpuMeter keeps the CPU of the bench itself and of the load programs it waited for."""


def list_process_tree(root: int) -> list[int]:
    """A process and all its living descendants."""
    children: dict[int, list[int]] = {}
    for pid, parent in _list_parents().items():
        children.setdefault(parent, []).append(pid)
    pids, pending = [], [root]
    while pending:
        pids.append(pending.pop())
        pending += children.get(pids[-1], [])
    return pids


def _list_parents() -> dict[int, int]:
    numbers = (int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdigit())
    return {pid: int(fields[1]) for pid in numbers if (fields := _read_stat(pid))}


def _read_stat(pid: int) -> list[str]:
    """What follows the name in /proc/PID/stat; empty when the process has gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return []


def cpu_seconds(*roots: int) -> float:
    """What these processes and all their descendants have used, also those that have ended."""
    fields = [_read_stat(pid) for root in roots for pid in list_process_tree(root)]
    return sum(int(ticks) for stat in fields if stat for ticks in stat[11:15]) / _TICK


def resident_megabytes(*roots: int) -> float:
    """Memory that these processes and their descendants hold now (resident)."""
    return sum(_resident_kilobytes(pid) for root in roots for pid in list_process_tree(root)) / 1024


def _resident_kilobytes(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return int(status.split("VmRSS:")[1].split()[0]) if "VmRSS:" in status else 0


def _own_seconds() -> float:
    """CPU of this process and of the children that it has waited for."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(used.ru_utime + used.ru_stime for used in usages)


def machine_seconds() -> float:
    """CPU seconds that the whole machine has been busy."""
    fields = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / _TICK


class CpuMeter:
    """Wall and CPU seconds over a `with` block: by named groups of processes, of the client, and of others.

    `others` is how many cores were busy with what is none of them: distrust wall clock above about 0.5.
    """

    def __init__(self, groups: Mapping[str, Sequence[int]]) -> None:
        self._groups = dict(groups)
        self.wall = self.others = 0.0
        self.cpu: dict[str, float] = {}

    def _read_seconds(self) -> dict[str, float]:
        return {name: cpu_seconds(*roots) for name, roots in self._groups.items()} | {CLIENT: _own_seconds()}

    def __enter__(self) -> "CpuMeter":
        self._before, self._machine = self._read_seconds(), machine_seconds()
        self._started = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall = time.perf_counter() - self._started
        machine = machine_seconds() - self._machine
        self.cpu = {name: seconds - self._before[name] for name, seconds in self._read_seconds().items()}
        self.others = max(0.0, machine - sum(self.cpu.values())) / self.wall

    def per_operation(self, count: int) -> dict[str, float]:
        """Microseconds of CPU per operation, by group."""
        return {name: seconds / max(1, count) * 1e6 for name, seconds in self.cpu.items()}
