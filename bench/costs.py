"""What work costs: CPU of processes and of a PostgreSQL server and its backends; how long answers take."""

import http.client
import os
import statistics
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def process_cpu(pid: int) -> float:
    """CPU seconds that a process has used."""
    _, used, _ = _stat(Path(f"/proc/{pid}"))
    return used


def server_cpu(backend: int) -> float:
    """CPU seconds of the PostgreSQL server of `backend`: its main process, all that live, all that ended."""
    main, _, _ = _stat(Path(f"/proc/{backend}"))
    _, own, ended = _stat(Path(f"/proc/{main}"))
    return own + ended + sum(used for parent, used, _ in _all() if parent == main)


def _all() -> Iterable[tuple[int, float, float]]:
    for place in Path("/proc").iterdir():
        if place.name.isdecimal():
            try:
                yield _stat(place)
            except (FileNotFoundError, ProcessLookupError):
                continue  # ended meanwhile


def _stat(place: Path) -> tuple[int, float, float]:
    """(parent, CPU seconds used, CPU seconds that its ended children used)."""
    fields = (place / "stat").read_text().rsplit(")", 1)[1].split()
    used, ended = int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14])
    return int(fields[1]), used / _TICKS, ended / _TICKS


class Asking:
    """One connection on which one question is asked after the other."""

    def __init__(self, port: int, headers: Mapping[str, str]) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers = dict(headers)

    def get(self, path: str) -> bytes:
        """What is answered. RuntimeError where that is not 200."""
        self._connection.request("GET", path, headers=self._headers)
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status} {body[:300]!r}")
        return body

    def milliseconds(self, paths: Iterable[str]) -> float:
        """The median of how long the answers take."""
        took = []
        for path in paths:
            began = time.perf_counter()
            self.get(path)
            took.append(1000 * (time.perf_counter() - began))
        return statistics.median(took)


def signed_in(port: int, key: str) -> dict[str, str]:
    """The headers of somebody who has signed in to the pages of that process."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    kind = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}
    connection.request("POST", "/sign-in", f"key={key}&next=/", kind)
    answer = connection.getresponse()
    answer.read()
    if answer.status != 303:
        raise RuntimeError(f"sign-in: {answer.status}")
    return {"Cookie": str(answer.headers["Set-Cookie"]).partition(";")[0]}
