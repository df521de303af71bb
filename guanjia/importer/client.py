"""The HTTP interface as the importer uses it: batches of events, then actions; outages are waited out."""

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence, Set
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Self

import httpx
import msgspec
from msgspec import Struct

from guanjia.importer.log_rows import LoggedCase

TEMPORARY_STATUSES = {408, 425, 429, 500, 502, 503, 504}


class _FieldError(Struct):
    path: str | None = None
    message: str | None = None


class _Problem(Struct):
    title: str | None = None
    detail: str | None = None
    errors: list[_FieldError] | None = None


class _EventResult(Struct):
    status: str = ""
    demand: str | None = None
    problem: _Problem | None = None


class _EventResults(Struct):
    results: list[_EventResult]


class _CaseState(Struct):
    state: str


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
        self._idle_clients: dict[str, list[httpx.AsyncClient]] = {"intake": [], "dispatch": []}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for client in [client for clients in self._idle_clients.values() for client in clients]:
            await client.aclose()

    @asynccontextmanager
    async def _borrow_client(self, service: str) -> AsyncIterator[httpx.AsyncClient]:
        """A client that nobody else uses now: one connection each, for a pool searches all of its own."""
        idle = self._idle_clients[service]
        client = idle.pop() if idle else self._new_client(service)
        try:
            yield client
        finally:
            idle.append(client)

    def _new_client(self, service: str) -> httpx.AsyncClient:
        limits = httpx.Limits(max_connections=1)
        return httpx.AsyncClient(
            base_url=self._urls[service], headers=self._headers, timeout=60, limits=limits
        )

    async def open_cases(self, cases: Sequence[LoggedCase]) -> list[str | EventRefused]:
        """Post the demands as one batch: for each the id of its case, or why it was refused."""
        events = [self._make_event(case) for case in cases]
        headers = {"Content-Type": "application/cloudevents-batch+json"}
        reply = await self._send("intake", "POST", "/v1/events", msgspec.json.encode(events), headers)
        if reply.status_code != 200:
            raise ImportStopped(f"the batch was refused: {_read_reason(reply)}")
        results = msgspec.json.decode(reply.content, type=_EventResults).results
        return [_read_result(result) for result in results]

    async def perform_action(
        self, case: str, action: str, at: datetime, data: Mapping[str, object], key: str
    ) -> str:
        """Do one action; the state that the case is in then. Raises EventRefused."""
        body: dict[str, object] = {"action": action, "at": at.isoformat()}
        body |= {"data": data} if data else {}
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        reply = await self._send(
            "dispatch", "POST", f"/v1/cases/{case}/actions", msgspec.json.encode(body), headers, {404}
        )
        if reply.status_code != 200:
            raise EventRefused(_read_reason(reply))
        return msgspec.json.decode(reply.content, type=_CaseState).state

    async def get_state(self, case: str) -> str:
        """The state that the case is in."""
        reply = await self._send("dispatch", "GET", f"/v1/cases/{case}", b"", {}, {404})
        if reply.status_code != 200:
            raise ImportStopped(f"a case can't be read: {_read_reason(reply)}")
        return msgspec.json.decode(reply.content, type=_CaseState).state

    def _make_event(self, case: LoggedCase) -> dict[str, object]:
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
        also_temporary: Set[int] = frozenset(),
    ) -> httpx.Response:
        """Send until there is an answer that will not change. Safe: everything sent has a name of its own."""
        deadline, pause = time.monotonic() + self.patience, 0.02
        while True:
            failure, wait = "", pause
            try:
                async with self._borrow_client(service) as client:
                    reply = await client.request(method, path, content=content, headers=dict(headers))
                if reply.status_code not in TEMPORARY_STATUSES | also_temporary:
                    return reply
                failure = _read_reason(reply)
                wait = max(pause, _retry_after(reply))
            except httpx.TransportError as error:
                failure = type(error).__name__
            if time.monotonic() + wait > deadline:
                raise ImportStopped(f"no answer to go on with within {self.patience:.0f} s: {failure}")
            await asyncio.sleep(wait)
            pause = min(pause * 1.5, 2.0)


def make_action_key(
    source: str, case: str, action: str, at: datetime, data: Mapping[str, object], earlier: Counter[bytes]
) -> str:
    """The name of an action, the same in every run: what it says, and which of those alike it is.

    `earlier` counts those of this case; this one is added.
    """
    content = msgspec.json.encode([source, case, action, at.isoformat(), data], order="sorted")
    earlier[content] += 1
    return hashlib.sha256(content + b"%d" % earlier[content]).hexdigest()[:40]


def _read_result(result: _EventResult) -> str | EventRefused:
    if result.status in ("accepted", "duplicate") and result.demand:
        return result.demand
    reason = _describe_problem(result.problem) if result.problem else ""
    return EventRefused(reason or "the demand was refused")


def _read_reason(reply: httpx.Response) -> str:
    try:
        reason = _describe_problem(msgspec.json.decode(reply.content, type=_Problem))
    except msgspec.MsgspecError:
        reason = ""
    return reason or f"HTTP {reply.status_code}"


def _describe_problem(problem: _Problem) -> str:
    """A problem document in one line."""
    parts = [part for part in (problem.title, problem.detail) if part]
    parts += [f"{error.path}: {error.message}" for error in problem.errors or []]
    return "; ".join(parts)


def _retry_after(reply: httpx.Response) -> float:
    seconds = reply.headers.get("Retry-After", "")
    return float(seconds) if seconds.isdecimal() else 0.0
