"""Makes sets of single deliveries, between a client that hands over one at a time and a consumer of sets."""

import asyncio
from collections.abc import Sequence

from shared.batcher import Batcher
from shared.messaging.bus import Consumer, Delivery

_SET = 200


class DeliveryBatcher:
    """Settles deliveries in sets; `finish` lets what is in hand end and takes nothing new."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self._batcher: Batcher[Delivery, None] = Batcher(self._take, most=_SET)
        self._closing = False

    async def _take(self, deliveries: Sequence[Delivery]) -> Sequence[None]:
        await self._consumer(deliveries)
        return [None] * len(deliveries)

    async def settle(self, delivery: Delivery) -> None:
        """Return once `delivery` is settled; raises where its set was not."""
        if self._closing:
            raise asyncio.CancelledError  # neither settled nor handed back: the broker keeps it
        await self._batcher.submit(delivery)

    async def finish(self, within: float) -> None:
        """Take nothing new and wait, `within` seconds at most, for what is in hand."""
        self._closing = True
        await asyncio.wait([asyncio.create_task(self._batcher.finish())], timeout=within)
