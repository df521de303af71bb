"""Group work: concurrent requests share a transaction; what is queued is taken at once, be it one or many."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Batcher(Generic[T, R]):
    """Runs `work` on sets of what is handed to `submit`; never two at a time, never waiting for more members.

    `work` returns a result or an exception for each member, in order; when it raises, all of them get that.
    """

    def __init__(
        self, work: Callable[[Sequence[T]], Awaitable[Sequence[R | Exception]]], most: int = 256
    ) -> None:
        self._work = work
        self._most = most
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._worker: asyncio.Task[None] | None = None

    async def submit(self, item: T) -> R:
        """`item`'s result once its set is committed. The work goes on where the caller gives up."""
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._run(), name="set")
        return await future

    async def _run(self) -> None:
        while self._waiting:
            taken, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
            try:
                results: Sequence[R | Exception] = await self._work([item for item, _ in taken])
            except Exception as error:
                results = [error] * len(taken)
            except BaseException:
                for _, future in taken + self._waiting:
                    future.cancel()
                self._waiting = []
                raise
            for (_, future), result in zip(taken, results, strict=True):
                if future.done():
                    continue
                if isinstance(result, Exception):
                    future.set_exception(result)
                else:
                    future.set_result(result)

    async def finish(self) -> None:
        """Wait for what is in hand."""
        if self._worker is not None and not self._worker.done():
            await asyncio.wait([self._worker])
