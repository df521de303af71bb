"""What the benches of a long history share: posting many at once, how long answers take."""

import asyncio
import http.client
import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.http_client import HttpConnection


async def get_server_pid(connection: Any) -> int:
    """The main process of the PostgreSQL server at the other end; all its backends are its children."""
    backend = await connection.fetchval("SELECT pg_backend_pid()")
    return int(Path(f"/proc/{backend}/stat").read_text().rsplit(")", 1)[1].split()[1])


async def post_all(port: int, requests: Sequence[tuple[str, bytes]], at_once: int) -> None:
    """Post these, `at_once` of them at any time. RuntimeError where an answer is not a 2xx."""
    remaining = iter(requests)

    async def post_in_turn() -> None:
        connection = await HttpConnection.open(port)
        for path, body in remaining:
            await connection.post(path, body)
        connection.close()

    await asyncio.gather(*(post_in_turn() for _ in range(at_once)))


class TimedClient:
    """One connection on which one question is asked after the other."""

    def __init__(self, port: int, headers: Mapping[str, str]) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers = dict(headers)

    def get(self, path: str) -> bytes:
        """What is answered. RuntimeError where that is not 200."""
        self._connection.request("GET", path, headers=self._headers)
        reply = self._connection.getresponse()
        body = reply.read()
        if reply.status != 200:
            raise RuntimeError(f"{path}: {reply.status} {body[:300]!r}")
        return body

    def median_milliseconds(self, paths: Iterable[str]) -> float:
        """The median of how long the answers take."""
        durations = []
        for path in paths:
            started = time.perf_counter()
            self.get(path)
            durations.append(1000 * (time.perf_counter() - started))
        return statistics.median(durations)


def sign_in(port: int, key: str) -> dict[str, str]:
    """The headers of somebody who has signed in to the pages of that process."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}
    connection.request("POST", "/sign-in", f"key={key}&next=/", headers)
    reply = connection.getresponse()
    reply.read()
    if reply.status != 303:
        raise RuntimeError(f"sign-in: {reply.status}")
    return {"Cookie": str(reply.headers["Set-Cookie"]).partition(";")[0]}
