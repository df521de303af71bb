"""Accepts events, by HTTP or AMQP alike: concurrent ones share a commit."""

from collections.abc import Sequence

from services.intake.domain.incoming_event import IncomingEvent
from services.intake.operations.acceptance import Acceptance, EventConflict, accept_events
from shared.batcher import Batcher
from shared.clock import Clock
from shared.database.engine import Database
from shared.messaging.outbox import Outbox

_MAX_BATCH = 512


class Acceptor:
    """Accepts events for one process of intake."""

    def __init__(self, database: Database, outbox: Outbox, clock: Clock) -> None:
        self._database = database
        self._outbox = outbox
        self._clock = clock
        self._batcher: Batcher[IncomingEvent, Acceptance] = Batcher(self._accept, max_batch=_MAX_BATCH)

    async def accept(self, event: IncomingEvent) -> Acceptance:
        """Accept one event; durable on return. Raises `EventConflict`."""
        return await self._batcher.submit(event)

    async def accept_batch(self, batch: Sequence[IncomingEvent]) -> Sequence[Acceptance | EventConflict]:
        """Accept many in one transaction: an acceptance or a conflict for each, in order."""
        return await self._accept(batch) if batch else []

    async def _accept(self, batch: Sequence[IncomingEvent]) -> Sequence[Acceptance | EventConflict]:
        async with self._database.transaction() as connection:
            return await accept_events(connection, self._outbox, batch, self._clock.now())

    async def finish(self) -> None:
        """Wait until everything submitted is accepted."""
        await self._batcher.finish()
