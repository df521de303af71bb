"""The stream of changes: what a process commits it tells its watchers at once, the rest it reads; resumable.

Live changes come in the order of their commits. The id that a watcher resumes by is that of the last step of
which all earlier ones have been told: on PostgreSQL of a transaction that began before all that are open. So
after resuming something may be told again, and nothing is left out.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from datetime import datetime
from time import monotonic

import msgspec
from msgspec import Struct

from services.dispatch.domain.workflow_catalog import WorkflowCatalog
from services.dispatch.queries.changes import (
    START,
    CaseChange,
    StreamPosition,
    get_changes,
    latest_position,
    list_changes,
    list_positions,
)
from services.dispatch.schemas import CaseSummary, HistorySummary, summarize_case, summarize_entry
from shared.database.engine import Database, is_transient
from shared.errors import InvalidInput
from shared.run_forever import run_forever

_encoder = msgspec.json.Encoder()
_EVENT_ID = re.compile(r"([0-9]{1,18})-([0-9]{1,18})(?:-[0-9]{1,18})?")
"""Where to resume, and what makes it the id of one event alone."""
_PAGE = 500
_POLL_SECONDS = 0.25
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
    event: bytes


_HEARTBEAT = StreamMessage(START, "", b": still here\n\n")
Queue = asyncio.Queue[StreamMessage | None]
"""What waits for a watcher; None disconnects it."""


class ChangeStream:
    """Tells changes to whoever watches."""

    def __init__(
        self,
        database: Database,
        catalog: Callable[[], WorkflowCatalog],
        now: Callable[[], datetime],
        leaving: asyncio.Event,
    ) -> None:
        self._database, self._catalog, self._now, self._leaving = database, catalog, now, leaving
        self._reading = asyncio.Lock()
        self._watchers: set[Queue] = set()
        self._is_watched = asyncio.Event()
        self._position = START
        self._told: set[StreamPosition] = set()
        self._heartbeat_at = 0.0

    def announce(self, changes: Sequence[CaseChange]) -> None:
        """Tell what this process has just committed."""
        if self._watchers:
            untold = [
                change
                for change in changes
                if change.position > self._position and change.position not in self._told
            ]
            self._told |= {change.position for change in untold}
            self._send([self._message_of(change, self._position) for change in untold])

    async def run(self) -> None:
        """Read for ever while somebody watches what other copies commit; disconnect everybody at the end."""
        try:
            await run_forever("change stream", self._rest_and_read, is_temporary=is_transient)
        finally:
            self._disconnect_watchers()

    async def _rest_and_read(self) -> None:
        await self._is_watched.wait()
        await asyncio.sleep(_POLL_SECONDS)
        if monotonic() - self._heartbeat_at > _HEARTBEAT_SECONDS:
            self._heartbeat_at = monotonic()
            self._send([_HEARTBEAT])
        if self._leaving.is_set():
            self._disconnect_watchers()
        while self._watchers and await self._read_changes() == _PAGE:
            pass

    def _disconnect_watchers(self) -> None:
        for watcher in self._watchers:
            watcher.put_nowait(None)

    async def _read_changes(self) -> int:
        """Tell what was not told, of the steps that no earlier one can precede any more; how many."""
        async with self._reading, self._database.autocommit() as connection:
            positions = await list_positions(connection, self._position, _PAGE)
            untold = [position for position in positions if position not in self._told]
            self._told.update(untold)  # from here on, though it takes a moment
            changes = await get_changes(connection, untold) if untold else ()
            self._send([self._message_of(change, change.position) for change in changes])
            if positions:
                self._position = positions[-1]
                self._told.difference_update(positions)
        return len(positions)

    def _send(self, messages: Sequence[StreamMessage]) -> None:
        for watcher in list(self._watchers):
            if watcher.qsize() > _LONGEST_QUEUE:
                self._watchers.discard(watcher)
                watcher.put_nowait(None)
                continue
            for message in messages:
                watcher.put_nowait(message)

    def _message_of(self, change: CaseChange, resume_at: StreamPosition) -> StreamMessage:
        """The change as it goes out, with the id by which a watcher resumes."""
        case, request = change.stored
        summary = summarize_case(self._catalog(), case, request, self._now())
        body = _encoder.encode(ChangeNotice(case=summary, entry=summarize_entry(change.entry)))
        id_ = b"%d-%d-%d" % (*resume_at, change.position.position)
        event = b"id: %b\nevent: case\ndata: %b\n\n" % (id_, body)
        return StreamMessage(change.position, case.property, event)

    async def watch(
        self, after: StreamPosition | None, sees: Callable[[str], bool]
    ) -> AsyncGenerator[bytes, None]:
        """Server-sent events after a position (None: from now on), of the properties that `sees` allows."""
        queue: Queue = asyncio.Queue()
        start, told = await self._add_watcher(queue)
        if self._leaving.is_set():
            queue.put_nowait(None)
        try:
            yield b"retry: 1000\n\n"
            if after is not None:
                async for earlier in self._read_earlier(min(after, start), start, told):
                    if sees(earlier.property):
                        yield earlier.event
            while (messages := await _next_messages(queue)) is not None:
                seen = [
                    message.event
                    for message in messages
                    if message is _HEARTBEAT or (message.position > start and sees(message.property))
                ]
                if seen:
                    yield b"".join(seen)
        finally:
            self._watchers.discard(queue)
            if not self._watchers:
                self._is_watched.clear()

    async def _add_watcher(self, queue: Queue) -> tuple[StreamPosition, set[StreamPosition]]:
        """From now on `queue` gets what comes after the position that is returned, but for what was told of
        it already."""
        async with self._reading:
            if not self._watchers:
                async with self._database.snapshot() as connection:
                    self._position = await latest_position(connection)
                self._told.clear()
            self._watchers.add(queue)
            self._is_watched.set()
            return self._position, set(self._told)

    async def _read_earlier(
        self, after: StreamPosition, last: StreamPosition, told: set[StreamPosition]
    ) -> AsyncIterator[StreamMessage]:
        """The changes after one position up to another, and those beyond that were told before."""
        while after < last:
            async with self._database.snapshot() as connection:
                changes = await list_changes(connection, after, _PAGE)
            if not changes:
                break
            for change in changes:
                if change.position <= last:
                    yield self._message_of(change, change.position)
            after = changes[-1].position
        if told:
            async with self._database.snapshot() as connection:
                changes = await get_changes(connection, told)
            for change in changes:
                yield self._message_of(change, last)


async def _next_messages(queue: Queue) -> list[StreamMessage] | None:
    """All that waits, at least one; None: nothing more will come."""
    messages: list[StreamMessage] = []
    while not messages or not queue.empty():
        message = await queue.get()
        if message is None:
            queue.put_nowait(None)
            return messages or None
        messages.append(message)
    return messages


def parse_position(last_event_id: str | None) -> StreamPosition | None:
    """The position to resume at that a `Last-Event-ID` names. Raises InvalidInput."""
    if not last_event_id:
        return None
    matched = _EVENT_ID.fullmatch(last_event_id)
    if matched is None:
        raise InvalidInput.of("Last-Event-ID", "This is none of the stream's ids", "不是有效的事件编号")
    return StreamPosition(int(matched[1]), int(matched[2]))
