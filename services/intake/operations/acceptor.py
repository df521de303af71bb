"""Accepts events by whichever way they come: concurrent ones share a commit."""

from collections.abc import Callable, Sequence

from services.intake.domain.incoming_event import IncomingEvent
from services.intake.operations.acceptance import Acceptance, EventConflict, accept_events
from shared.batcher import Batcher
from shared.clock import Clock
from shared.database.engine import Database
from shared.messaging.outbox import Outbox

_BATCH = 512


class Acceptor:
    """Accepts events for one process of intake."""

    def __init__(
        self, database: Database, outbox: Outbox, clock: Clock, committed: Callable[[], None]
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._clock = clock
        self._committed = committed
        self._batcher: Batcher[IncomingEvent, Acceptance] = Batcher(self._accept_batch, most=_BATCH)

    async def accept(self, event: IncomingEvent) -> Acceptance:
        """Accept one event; durable on return. Raises `EventConflict`."""
        return await self._batcher.submit(event)

    async def accept_all(self, batch: Sequence[IncomingEvent]) -> Sequence[Acceptance | EventConflict]:
        """Accept many in one transaction: an acceptance or a conflict for each, in order."""
        return await self._accept_batch(batch) if batch else []

    async def _accept_batch(self, batch: Sequence[IncomingEvent]) -> Sequence[Acceptance | EventConflict]:
        async with self._database.transaction() as connection:
            results = await accept_events(connection, self._outbox, batch, self._clock.now())
        self._committed()
        return results

    async def finish(self) -> None:
        """Wait for what is in hand."""
        await self._batcher.finish()
