"""Makes sets of single deliveries: takes what is there, has it settled at once, then lets every sender go on."""

import asyncio

from shared.bus import Consumer, Delivery

_SET = 200


class Collector:
    """Between a client that hands over one message at a time and a consumer of sets. No linger: a single is a set of one."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self._waiting: list[tuple[Delivery, asyncio.Future[None]]] = []
        self._worker: asyncio.Task[None] | None = None
        self._closing = False

    async def settle(self, delivery: Delivery) -> None:
        """Return once `delivery` is settled; raises where its set was not."""
        if self._closing:
            raise asyncio.CancelledError
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((delivery, future))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work(), name=f"settle {delivery.queue}")
        await future

    async def _work(self) -> None:
        while self._waiting:
            taken, self._waiting = self._waiting[:_SET], self._waiting[_SET:]
            try:
                await self._consumer([delivery for delivery, _ in taken])
            except BaseException as error:
                for _, future in taken:
                    if not future.done():
                        future.set_exception(error if isinstance(error, Exception) else RuntimeError("stopped"))
                if not isinstance(error, Exception):
                    raise
                continue
            for _, future in taken:
                if not future.done():
                    future.set_result(None)

    async def finish(self) -> None:
        """Take nothing new and wait for what is in hand."""
        self._closing = True
        worker = self._worker
        if worker is not None and not worker.done():
            await asyncio.wait([worker], timeout=15)
