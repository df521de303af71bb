"""Makes batches of single deliveries, for a client that hands over one at a time."""

import asyncio
from collections.abc import Sequence

from shared.batcher import Batcher
from shared.messaging.bus import Consumer, Delivery

_MAX_BATCH = 200


class DeliveryBatcher:
    """Settles deliveries in batches, `rest` seconds apart; after `finish` nothing new is settled."""

    def __init__(self, consumer: Consumer, rest: float) -> None:
        self._consumer = consumer
        self._batcher: Batcher[Delivery, None] = Batcher(self._consume, max_batch=_MAX_BATCH, rest=rest)
        self._closing = False

    async def _consume(self, deliveries: Sequence[Delivery]) -> Sequence[None]:
        await self._consumer(deliveries)
        return [None] * len(deliveries)

    async def settle(self, delivery: Delivery) -> None:
        """Return once `delivery` is settled; raises where its batch was not."""
        if self._closing:
            raise asyncio.CancelledError  # neither settled nor handed back: the broker keeps it
        await self._batcher.submit(delivery)

    async def finish(self, within: float) -> None:
        """Settle nothing new and wait, `within` seconds at most, for what has begun."""
        self._closing = True
        await asyncio.wait([asyncio.create_task(self._batcher.finish())], timeout=within)
