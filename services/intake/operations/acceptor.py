"""Accepts events, by HTTP or AMQP alike: concurrent ones share a commit, and few enough wait for it."""

import asyncio
from collections.abc import Sequence

import structlog

from services.intake.domain.incoming_event import IncomingEvent
from services.intake.operations.acceptance import Acceptance, EventConflict, EventWriter
from shared.batcher import Batcher
from shared.clock import Clock
from shared.database.engine import Database
from shared.errors import Unavailable
from shared.messaging.outbox import Outbox

_log = structlog.stdlib.get_logger(__name__)
_MAX_BATCH = 512
MAX_WAITING = 16 * 1024 * 1024
"""Bytes that may wait for their commit in this process, an event counted with `_OVERHEAD` more."""
_OVERHEAD = 1024
MAX_BACKLOG = 1_000_000
"""How many events may be accepted and not yet published, of all copies: about a gigabyte of disk."""
_BUSY_SECONDS, _BACKLOG_SECONDS = 1, 30


class Overloaded(Unavailable):
    """More comes than can be taken; what was accepted is safe. Again after `retry_after` seconds."""

    code = "overloaded"
    title = "More comes than can be taken at the moment"
    title_zh = "当前请求过多，暂时无法受理"

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"Try again in {retry_after} s.", f"请在 {retry_after} 秒后重试。")
        self.retry_after = retry_after

    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.retry_after)}


class Acceptor:
    """Accepts events for one process of intake. `backlog`: how many are accepted and not yet published."""

    def __init__(self, database: Database, outbox: Outbox, clock: Clock) -> None:
        self._clock = clock
        self._writer = EventWriter(database, outbox)
        self._batcher: Batcher[IncomingEvent, Acceptance] = Batcher(self._accept, max_batch=_MAX_BATCH)
        self._waiting = self.backlog = 0

    async def accept(self, event: IncomingEvent) -> Acceptance:
        """Accept one event; durable on return. Raises `EventConflict`, `Overloaded`."""
        self._enter([event])
        return await self._batcher.submit(event)

    async def accept_batch(self, batch: Sequence[IncomingEvent]) -> Sequence[Acceptance | EventConflict]:
        """Accept many in one transaction: an acceptance or a conflict for each. Raises `Overloaded`."""
        if not batch:
            return []
        self._enter(batch)
        return await self._accept(batch)

    async def accept_when_possible(
        self, batch: Sequence[IncomingEvent]
    ) -> Sequence[Acceptance | EventConflict]:
        """The same of a queue, which waits as long as it must."""
        while True:
            try:
                return await self.accept_batch(batch)
            except Overloaded as error:
                _log.warning("inbound events wait", seconds=error.retry_after)
                await asyncio.sleep(error.retry_after)

    def _enter(self, batch: Sequence[IncomingEvent]) -> None:
        """From now on these wait for their commit. Raises `Overloaded`."""
        if self.backlog >= MAX_BACKLOG:
            raise Overloaded(_BACKLOG_SECONDS)
        size = _measure(batch)
        if self._waiting + size > MAX_WAITING:
            raise Overloaded(_BUSY_SECONDS)
        self._waiting += size

    async def _accept(self, batch: Sequence[IncomingEvent]) -> Sequence[Acceptance | EventConflict]:
        try:
            return await self._writer.accept(batch, self._clock.now())
        finally:
            self._waiting -= _measure(batch)

    async def finish(self) -> None:
        """Wait until everything submitted is accepted."""
        await self._batcher.finish()


def _measure(batch: Sequence[IncomingEvent]) -> int:
    return sum(len(event.body) + _OVERHEAD for event in batch)
