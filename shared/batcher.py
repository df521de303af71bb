"""Group commit: concurrent requests share a transaction; all that is queued makes the next batch."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Batcher(Generic[T, R]):
    """Runs `work` on batches of the submitted items: never two at a time, never waiting for more items.
    After each batch it rests for `rest` seconds.

    `work` returns a result or an exception for each item, in order; when it raises, all of them get that.
    """

    def __init__(
        self,
        work: Callable[[Sequence[T]], Awaitable[Sequence[R | Exception]]],
        max_batch: int = 256,
        rest: float = 0.0,
    ) -> None:
        self._work = work
        self._max_batch, self._rest = max_batch, rest
        self._queue: list[tuple[T, asyncio.Future[R]]] = []
        self._worker: asyncio.Task[None] | None = None

    async def submit(self, item: T) -> R:
        """`item`'s result once its batch is committed. The work goes on where the caller gives up."""
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._queue.append((item, future))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._run(), name="batcher")
        return await future

    async def _run(self) -> None:
        while self._queue:
            batch, self._queue = self._queue[: self._max_batch], self._queue[self._max_batch :]
            try:
                results: Sequence[R | Exception] = await self._work([item for item, _ in batch])
            except Exception as error:
                results = [error] * len(batch)
            except BaseException:
                for _, future in batch + self._queue:
                    future.cancel()
                self._queue = []
                raise
            for (_, future), result in zip(batch, results, strict=True):
                if future.done():
                    continue
                if isinstance(result, Exception):
                    future.set_exception(result)
                else:
                    future.set_result(result)
            if self._rest:
                await asyncio.sleep(self._rest)

    async def finish(self) -> None:
        """Wait until everything submitted is done."""
        if self._worker is not None and not self._worker.done():
            await asyncio.wait([self._worker])
