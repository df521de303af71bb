"""The stream of changes: one reader per process for any number of watchers, resumable, nothing passed over.

Steps are told in the order of the transactions that wrote them. On PostgreSQL a step is told once no
transaction that began earlier can still commit; a commit of this process wakes the reader at once.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import datetime

import msgspec
import structlog
from msgspec import Struct

from services.dispatch import queries
from services.dispatch.domain.workflow_catalog import WorkflowCatalog
from services.dispatch.queries import CaseChange
from services.dispatch.schemas import CaseSummary, HistorySummary, summarize_case, summarize_entry
from shared.database.engine import Database, is_transient
from shared.errors import InvalidInput

StreamPosition = tuple[int, int]
_log = structlog.stdlib.get_logger(__name__)
_encoder = msgspec.json.Encoder()
_PAGE = 500
_POLL_SECONDS = 0.5
_SOON_SECONDS = 0.005
_HEARTBEAT_SECONDS = 15
_BEHIND = 5000
"""How many changes a watcher may lie behind before it is let go, to resume by itself."""


class ChangeNotice(Struct, frozen=True, kw_only=True):
    """What the stream tells: the case as it is, and the step that was taken."""

    case: CaseSummary
    entry: HistorySummary


class StreamMessage(Struct, frozen=True):
    """A change as it goes out."""

    place: StreamPosition
    property: str
    body: bytes


class ChangeStream:
    """Reads changes and hands them to whoever watches."""

    def __init__(
        self,
        database: Database,
        catalog: Callable[[], WorkflowCatalog],
        now: Callable[[], datetime],
        leaving: asyncio.Event,
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._now = now
        self._leaving = leaving
        self._wake = asyncio.Event()
        self._joining = asyncio.Lock()
        self._watchers: set[asyncio.Queue[StreamMessage | None]] = set()
        self._host: StreamPosition = (0, 0)

    def wake(self) -> None:
        """Something was committed here."""
        self._wake.set()

    async def run(self) -> None:
        """Read for ever while somebody watches; let everybody go at the end."""
        try:
            while True:
                await self._rest()
                if self._leaving.is_set():
                    self._let_go()
                try:
                    await self._read_all()
                except Exception as error:
                    _log.warning("stream waits", error=type(error).__name__, exc_info=not is_transient(error))
                    await asyncio.sleep(0.5)
        finally:
            self._let_go()

    def _let_go(self) -> None:
        for watcher in self._watchers:
            watcher.put_nowait(None)

    async def _rest(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_POLL_SECONDS):
                await self._wake.wait()
        self._wake.clear()

    async def _read_all(self) -> None:
        """Tell all that can be told; while something is written that can't be told yet, look again soon."""
        waiting = bool(self._watchers)
        while waiting:
            async with self._joining, self._database.autocommit() as connection:
                found = await queries.list_changes(connection, self._host, _PAGE)
                if found:
                    self._host = found[-1].xid, found[-1].position
                    self._tell(found)
                waiting = len(found) == _PAGE or await queries.has_unsettled_changes(connection, self._host)
            if waiting and not found:
                await asyncio.sleep(_SOON_SECONDS)

    def _tell(self, found: list[CaseChange]) -> None:
        told = [self._told(change) for change in found]
        for watcher in list(self._watchers):
            if watcher.qsize() > _BEHIND:
                self._watchers.discard(watcher)
                watcher.put_nowait(None)
                continue
            for change in told:
                watcher.put_nowait(change)

    def _told(self, change: CaseChange) -> StreamMessage:
        case, request = change.stored
        line = summarize_case(self._catalog(), case, request, self._now())
        body = _encoder.encode(ChangeNotice(case=line, entry=summarize_entry(change.entry)))
        return StreamMessage((change.xid, change.position), change.property, body)

    async def watch(self, after: StreamPosition | None, sees: Callable[[str], bool]) -> AsyncIterator[bytes]:
        """Server-sent events from a place on (None: from now on), of the properties that are seen."""
        queue: asyncio.Queue[StreamMessage | None] = asyncio.Queue()
        upto = await self._join(queue)
        if self._leaving.is_set():
            queue.put_nowait(None)
        try:
            yield b"retry: 1000\n\n"
            async for told in self._missed(min(after or upto, upto), upto):
                if sees(told.property):
                    yield _format_event(told)
            while (change := await _next(queue)) is not None:
                if change is _HEARTBEAT:
                    yield b": still here\n\n"
                elif change.place > upto and sees(change.property):
                    yield _format_event(change)
        finally:
            self._watchers.discard(queue)

    async def _join(self, queue: asyncio.Queue[StreamMessage | None]) -> StreamPosition:
        """From now on `queue` gets what comes after the place that is returned."""
        async with self._joining:
            if not self._watchers:
                async with self._database.snapshot() as connection:
                    self._host = await queries.latest_position(connection)
            self._watchers.add(queue)
            return self._host

    async def _missed(self, after: StreamPosition, upto: StreamPosition) -> AsyncIterator[StreamMessage]:
        """What was written between two places."""
        while after < upto:
            async with self._database.snapshot() as connection:
                found = await queries.list_changes(connection, after, _PAGE)
            if not found:
                return
            for change in found:
                if (change.xid, change.position) <= upto:
                    yield self._told(change)
            after = found[-1].xid, found[-1].position


_HEARTBEAT = StreamMessage((0, 0), "", b"")


async def _next(queue: asyncio.Queue[StreamMessage | None]) -> StreamMessage | None:
    try:
        async with asyncio.timeout(_HEARTBEAT_SECONDS):
            return await queue.get()
    except TimeoutError:
        return _HEARTBEAT


def _format_event(told: StreamMessage) -> bytes:
    return b"id: %d-%d\nevent: case\ndata: %b\n\n" % (*told.place, told.body)


def parse_position(last_event_id: str | None) -> StreamPosition | None:
    """The place that a `Last-Event-ID` names. Raises InvalidInput."""
    if not last_event_id:
        return None
    xid, _, position = last_event_id.partition("-")
    if not (xid.isdecimal() and position.isdecimal() and len(last_event_id) <= 40):
        raise InvalidInput.of("Last-Event-ID", "This is none of the stream's ids", "不是有效的事件编号")
    return int(xid), int(position)
