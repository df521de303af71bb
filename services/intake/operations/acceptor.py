"""The doors into intake: by whichever they come, offers are accepted in sets, within each source's rate."""

import math
import time
from collections.abc import Callable, Sequence

from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from services.intake.domain.incoming_event import IncomingEvent
from services.intake.operations import acceptance
from services.intake.operations.acceptance import Acceptance, PendingEvent, prepare_event
from shared.auth import Identity
from shared.batcher import Batcher
from shared.clock import Clock
from shared.database.engine import Database
from shared.errors import TooManyRequests
from shared.messaging.outbox import Outbox


class Acceptor:
    """Accepts offers for one process of intake."""

    def __init__(
        self, database: Database, outbox: Outbox, clock: Clock, committed: Callable[[], None], rate: str
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._clock = clock
        self._committed = committed
        self._batcher: Batcher[PendingEvent, Acceptance] = Batcher(self._accept_set, most=512)
        self._rate = parse(rate)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def check_rate(self, identity: Identity, count: int) -> None:
        """Raises `TooManyRequests` where the key posts more than its rate."""
        cost = min(count, self._rate.amount)  # a batch beyond the whole rate takes all of it
        if not self._limiter.hit(self._rate, identity.key, cost=cost):
            reset, _ = self._limiter.get_window_stats(self._rate, identity.key)
            raise TooManyRequests(max(1, math.ceil(reset - time.time())))

    async def accept(self, offer: IncomingEvent) -> Acceptance:
        """Accept one offer; durable on return. Raises `AlreadyOtherwise`."""
        return await self._batcher.submit(prepare_event(offer))

    async def accept_all(self, offers: Sequence[IncomingEvent]) -> Sequence[Acceptance | Exception]:
        """Accept many in one transaction: an answer or an error for each, in order."""
        return await self._accept_set([prepare_event(offer) for offer in offers]) if offers else []

    async def _accept_set(self, members: Sequence[PendingEvent]) -> Sequence[Acceptance | Exception]:
        async with self._database.transaction() as connection:
            answers = await acceptance.accept_events(connection, self._outbox, members, self._clock.now())
        self._committed()
        return answers

    async def finish(self) -> None:
        """Wait for what is in hand."""
        await self._batcher.finish()
