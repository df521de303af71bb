"""What the benches of a long history share: how long it is, posting many at once, how long answers take."""

import asyncio
import http.client
import os
import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.http_client import Line

CASES = int(os.environ.get("BENCH_CASES") or (20_000 if os.environ.get("BENCH_QUICK") else 1_000_000))
"""How long a history is looked at: what BENCH_CASES says, a million, or a few to try it out."""


async def server_of(connection: Any) -> int:
    """The main process of the PostgreSQL server at the other end; all its backends are its children."""
    backend = await connection.fetchval("SELECT pg_backend_pid()")
    return int(Path(f"/proc/{backend}/stat").read_text().rsplit(")", 1)[1].split()[1])


async def posted(port: int, requests: Sequence[tuple[str, bytes]], at_once: int) -> None:
    """Post these, `at_once` of them at any time. RuntimeError where an answer is not a 2xx."""
    left = iter(requests)

    async def work() -> None:
        line = await Line.to(port)
        for path, body in left:
            await line.post(path, body)
        line.close()

    await asyncio.gather(*(work() for _ in range(at_once)))


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
