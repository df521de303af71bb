"""The stream of changes: one reader per process for any number of watchers, resumable, nothing passed over.

Steps are sent in the order of the transactions that wrote them. On PostgreSQL a step is sent once no
transaction that began earlier can still commit; a commit of this process wakes the reader at once.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime

import msgspec
from msgspec import Struct

from services.dispatch.domain.workflow_catalog import WorkflowCatalog
from services.dispatch.queries.changes import (
    START,
    CaseChange,
    StreamPosition,
    has_unsettled_changes,
    latest_position,
    list_changes,
)
from services.dispatch.schemas import CaseSummary, HistorySummary, summarize_case, summarize_entry
from shared.database.engine import Database, is_transient
from shared.errors import InvalidInput
from shared.run_forever import run_forever

_encoder = msgspec.json.Encoder()
_PAGE = 500
_POLL_SECONDS = 0.5
_UNSETTLED_SECONDS = 0.005
_HEARTBEAT_SECONDS = 15
_LONGEST_QUEUE = 5000
"""How many changes may wait for a watcher before it is disconnected, to resume by itself."""


class ChangeNotice(Struct, frozen=True, kw_only=True):
    """The body of an event of the stream: the case as it is, and the step that was taken."""

    case: CaseSummary
    entry: HistorySummary


class StreamMessage(Struct, frozen=True):
    """A change as it goes out."""

    position: StreamPosition
    property: str
    body: bytes


_HEARTBEAT = StreamMessage(START, "", b"")
Queue = asyncio.Queue[StreamMessage | None]
"""What waits for a watcher; None disconnects it."""


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
        self.wakeup = asyncio.Event()
        self._reading = asyncio.Lock()
        self._watchers: set[Queue] = set()
        self._position = START

    async def run(self) -> None:
        """Read for ever while somebody watches; disconnect everybody at the end."""
        try:
            await run_forever("change stream", self._rest_and_read, is_temporary=is_transient)
        finally:
            self._disconnect_watchers()

    async def _rest_and_read(self) -> None:
        await self._rest()
        if self._leaving.is_set():
            self._disconnect_watchers()
        await self._read_changes()

    def _disconnect_watchers(self) -> None:
        for watcher in self._watchers:
            watcher.put_nowait(None)

    async def _rest(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_POLL_SECONDS):
                await self.wakeup.wait()
        self.wakeup.clear()

    async def _read_changes(self) -> None:
        """Send all that can be sent; while something is written that can't be sent yet, read again soon."""
        more = bool(self._watchers)
        while more:
            async with self._reading, self._database.autocommit() as connection:
                changes = await list_changes(connection, self._position, _PAGE)
                if changes:
                    self._position = changes[-1].position
                    self._send(changes)
                more = len(changes) == _PAGE or await has_unsettled_changes(connection, self._position)
            if more and not changes:
                await asyncio.sleep(_UNSETTLED_SECONDS)

    def _send(self, changes: Sequence[CaseChange]) -> None:
        messages = [self._message_of(change) for change in changes]
        for watcher in list(self._watchers):
            if watcher.qsize() > _LONGEST_QUEUE:
                self._watchers.discard(watcher)
                watcher.put_nowait(None)
                continue
            for message in messages:
                watcher.put_nowait(message)

    def _message_of(self, change: CaseChange) -> StreamMessage:
        case, request = change.stored
        summary = summarize_case(self._catalog(), case, request, self._now())
        body = _encoder.encode(ChangeNotice(case=summary, entry=summarize_entry(change.entry)))
        return StreamMessage(change.position, case.property, body)

    async def watch(self, after: StreamPosition | None, sees: Callable[[str], bool]) -> AsyncIterator[bytes]:
        """Server-sent events after a position (None: from now on), of the properties that `sees` allows."""
        queue: Queue = asyncio.Queue()
        start = await self._add_watcher(queue)
        if self._leaving.is_set():
            queue.put_nowait(None)
        try:
            yield b"retry: 1000\n\n"
            async for earlier in self._read_between(min(after or start, start), start):
                if sees(earlier.property):
                    yield _format_event(earlier)
            while (message := await _next_message(queue)) is not None:
                if message is _HEARTBEAT:
                    yield b": still here\n\n"
                elif message.position > start and sees(message.property):
                    yield _format_event(message)
        finally:
            self._watchers.discard(queue)

    async def _add_watcher(self, queue: Queue) -> StreamPosition:
        """From now on `queue` gets what comes after the position that is returned."""
        async with self._reading:
            if not self._watchers:
                async with self._database.snapshot() as connection:
                    self._position = await latest_position(connection)
            self._watchers.add(queue)
            return self._position

    async def _read_between(
        self, after: StreamPosition, last: StreamPosition
    ) -> AsyncIterator[StreamMessage]:
        """The changes after one position up to another."""
        while after < last:
            async with self._database.snapshot() as connection:
                changes = await list_changes(connection, after, _PAGE)
            if not changes:
                return
            for change in changes:
                if change.position <= last:
                    yield self._message_of(change)
            after = changes[-1].position


async def _next_message(queue: Queue) -> StreamMessage | None:
    try:
        async with asyncio.timeout(_HEARTBEAT_SECONDS):
            return await queue.get()
    except TimeoutError:
        return _HEARTBEAT


def _format_event(message: StreamMessage) -> bytes:
    return b"id: %d-%d\nevent: case\ndata: %b\n\n" % (*message.position, message.body)


def parse_position(last_event_id: str | None) -> StreamPosition | None:
    """The position that a `Last-Event-ID` names. Raises InvalidInput."""
    if not last_event_id:
        return None
    xid, _, position = last_event_id.partition("-")
    if not (xid.isdecimal() and position.isdecimal() and len(last_event_id) <= 40):
        raise InvalidInput.of("Last-Event-ID", "This is none of the stream's ids", "不是有效的事件编号")
    return StreamPosition(int(xid), int(position))
