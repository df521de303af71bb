"""Watches the change stream as a browser would: after every end it connects anew, with the last id."""

import asyncio
import json
from collections import defaultdict
from typing import Any

import httpx

from tests.faults.repairs import ServiceClients
from tests.support.waiting import eventually

BEGINNING = "0-0"
Step = tuple[str, int]
"""A case, and the number of its step."""


class StreamWatcher:
    """Collects the steps that the stream of dispatch tells, in the order in which they are told first."""

    def __init__(self, clients: ServiceClients) -> None:
        self._client = clients.http["dispatch"]
        self._last_id = BEGINNING
        self.connections = 0
        self.told: dict[Step, None] = {}

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            try:
                await self._watch_once()
            except httpx.TransportError:
                await asyncio.sleep(0.05)

    async def _watch_once(self) -> None:
        headers = {"Last-Event-ID": self._last_id}
        patience = httpx.Timeout(5, read=30)
        async with self._client.stream(
            "GET", "/v1/cases/stream", headers=headers, timeout=patience
        ) as response:
            if response.status_code == 200:
                self.connections += 1
                async for line in response.aiter_lines():
                    self._take_line(line)

    def _take_line(self, line: str) -> None:
        field, _, value = line.partition(": ")
        if field == "id":
            self._last_id = value
        elif field == "data":
            change: dict[str, Any] = json.loads(value)
            self.told.setdefault((change["case"]["id"], change["entry"]["seq"]))

    async def check(self, steps: set[Step]) -> None:
        """Wait until every step was told; AssertionError where one was not, or came before an earlier one."""

        async def count_untold() -> int:
            return len(steps - self.told.keys())

        await eventually(count_untold, lambda untold: untold == 0, within=20)
        assert set(self.told) == steps, f"steps that nobody took: {sorted(set(self.told) - steps)[:5]}"
        by_case: defaultdict[str, list[int]] = defaultdict(list)
        for case, seq in self.told:
            by_case[case].append(seq)
        for case, told in by_case.items():
            assert told == sorted(told), f"{case} was told as {told}"
