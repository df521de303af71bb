"""The HTTP door as the importer uses it: batches of events, then actions; passing trouble is waited out."""

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Self

import httpx
import msgspec

from guanjia.importer.log_rows import LoggedCase

PASSING = {408, 425, 429, 500, 502, 503, 504}


class ImportStopped(Exception):
    """The import can't go on; what is done is done, and the same command goes on from there."""


class EventRefused(Exception):
    """An event or action was refused for good; the message is the reason."""


class ImportClient:
    """`url` serves intake, `dispatch_url` dispatch: the same where one process or a proxy serves both.

    `patience` is for how many seconds a server that is down or overloaded, or a case that is not open yet,
    is waited for.
    """

    def __init__(
        self, url: str, key: str, source: str, dispatch_url: str = "", patience: float = 300
    ) -> None:
        self.source, self.patience = source, patience
        self._urls = {"intake": url, "dispatch": dispatch_url or url}
        self._headers = {"Authorization": f"Bearer {key}", "Accept-Language": "en"}
        self._free: dict[str, list[httpx.AsyncClient]] = {"intake": [], "dispatch": []}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for client in [client for clients in self._free.values() for client in clients]:
            await client.aclose()

    @asynccontextmanager
    async def _client(self, service: str) -> AsyncIterator[httpx.AsyncClient]:
        """A client that nobody else uses now: one connection each, for a pool searches all of its own."""
        free = self._free[service]
        client = free.pop() if free else self._new_client(service)
        try:
            yield client
        finally:
            free.append(client)

    def _new_client(self, service: str) -> httpx.AsyncClient:
        limits = httpx.Limits(max_connections=1)
        return httpx.AsyncClient(
            base_url=self._urls[service], headers=self._headers, timeout=60, limits=limits
        )

    async def open_cases(self, cases: Sequence[LoggedCase]) -> list[str | EventRefused]:
        """Post the demands as one batch: for each the id of its case, or why it was refused."""
        events = [self._event(case) for case in cases]
        headers = {"Content-Type": "application/cloudevents-batch+json"}
        answer = await self._send("intake", "POST", "/v1/events", msgspec.json.encode(events), headers)
        if answer.status_code != 200:
            raise ImportStopped(f"the batch was refused: {_reason(answer)}")
        results = msgspec.json.decode(answer.content)["results"]
        return [_opened(result) for result in results]

    async def act(self, case: str, action: str, at: datetime, data: Mapping[str, object], key: str) -> str:
        """Do one action; the state that the case is in then. Raises Refused."""
        body = {"action": action, "at": at.isoformat(), "data": data} if data else {
            "action": action, "at": at.isoformat()}  # fmt: skip
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        answer = await self._send(
            "dispatch", "POST", f"/v1/cases/{case}/actions", msgspec.json.encode(body), headers, {404}
        )
        if answer.status_code != 200:
            raise EventRefused(_reason(answer))
        return str(msgspec.json.decode(answer.content)["state"])

    async def state(self, case: str) -> str:
        """The state that the case is in."""
        answer = await self._send("dispatch", "GET", f"/v1/cases/{case}", b"", {}, {404})
        if answer.status_code != 200:
            raise ImportStopped(f"a case can't be read: {_reason(answer)}")
        return str(msgspec.json.decode(answer.content)["state"])

    def _event(self, case: LoggedCase) -> dict[str, object]:
        return {
            "specversion": "1.0",
            "type": "guanjia.demand.raised.v1",
            "source": self.source,
            "id": case.name,
            "time": case.raised_at.isoformat(),
            "datacontenttype": "application/json",
            "data": case.demand,
        }

    async def _send(
        self,
        service: str,
        method: str,
        path: str,
        content: bytes,
        headers: Mapping[str, str],
        also_passing: frozenset[int] | set[int] = frozenset(),
    ) -> httpx.Response:
        """Send until there is an answer that will not change. Safe: everything sent has a name of its own."""
        deadline, pause = time.monotonic() + self.patience, 0.02
        while True:
            trouble, wait = "", pause
            try:
                async with self._client(service) as client:
                    answer = await client.request(method, path, content=content, headers=dict(headers))
                if answer.status_code not in PASSING | also_passing:
                    return answer
                trouble = _reason(answer)
                wait = max(pause, _retry_after(answer))
            except httpx.TransportError as error:
                trouble = type(error).__name__
            if time.monotonic() + wait > deadline:
                raise ImportStopped(f"no answer to go on with within {self.patience:.0f} s: {trouble}")
            await asyncio.sleep(wait)
            pause = min(pause * 1.5, 2.0)


def action_key(
    source: str, case: str, action: str, at: datetime, data: Mapping[str, object], seen: Counter[bytes]
) -> str:
    """The name of an action, the same in every run: what it says, and which of those alike it is.

    `seen` counts those of this case; this one is added.
    """
    said = msgspec.json.encode([source, case, action, at.isoformat(), data], order="sorted")
    seen[said] += 1
    return hashlib.sha256(said + b"%d" % seen[said]).hexdigest()[:40]


def _opened(result: dict[str, Any]) -> str | EventRefused:
    if result.get("status") in ("accepted", "duplicate") and result.get("demand"):
        return str(result["demand"])
    problem = result.get("problem") or {}
    return EventRefused(_told(problem) or "the demand was refused")


def _reason(answer: httpx.Response) -> str:
    try:
        document = msgspec.json.decode(answer.content)
    except msgspec.MsgspecError:
        document = {}
    return _told(document if isinstance(document, dict) else {}) or f"HTTP {answer.status_code}"


def _told(problem: Mapping[str, Any]) -> str:
    """A problem document in one line."""
    words = [str(problem[name]) for name in ("title", "detail") if problem.get(name)]
    words += [f"{error.get('path')}: {error.get('message')}" for error in problem.get("errors") or []]
    return "; ".join(words)


def _retry_after(answer: httpx.Response) -> float:
    told = answer.headers.get("Retry-After", "")
    return float(told) if told.isdecimal() else 0.0
