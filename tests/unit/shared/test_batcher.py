"""Concurrent work shares a batch; each member gets its own result, and no failure reaches another batch."""

import asyncio
from collections.abc import Sequence

import pytest

from shared.batcher import Batcher


class Work:
    """Doubles numbers; refuses negative ones, and fails altogether on zero."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.running = 0
        self.go = asyncio.Event()
        self.go.set()

    async def __call__(self, members: Sequence[int]) -> Sequence[int | Exception]:
        self.batches.append(list(members))
        self.running += 1
        assert self.running == 1, "never two batches at a time"
        await self.go.wait()
        self.running -= 1
        if 0 in members:
            raise RuntimeError("zero")
        return [2 * member if member > 0 else ValueError("negative") for member in members]


async def test_what_is_queued_while_one_batch_runs_is_the_next_batch() -> None:
    work = Work()
    batcher: Batcher[int, int] = Batcher(work, max_batch=10)
    work.go.clear()
    tasks = [asyncio.create_task(batcher.submit(1))]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    tasks += [asyncio.create_task(batcher.submit(number)) for number in range(2, 15)]
    await asyncio.sleep(0)
    work.go.set()
    assert await asyncio.gather(*tasks) == [2 * number for number in range(1, 15)]
    assert [len(members) for members in work.batches] == [1, 10, 3]


async def test_a_single_one_does_not_wait_for_others() -> None:
    work = Work()
    batcher: Batcher[int, int] = Batcher(work)
    assert await asyncio.wait_for(batcher.submit(4), 1) == 8
    assert await asyncio.wait_for(batcher.submit(5), 1) == 10
    assert work.batches == [[4], [5]]


async def test_each_member_gets_its_own_result_or_error() -> None:
    batcher: Batcher[int, int] = Batcher(Work())
    results = await asyncio.gather(*(batcher.submit(number) for number in (1, -2, 3)), return_exceptions=True)
    assert (results[0], type(results[1]), results[2]) == (2, ValueError, 6)


async def test_a_batch_that_fails_fails_for_its_members_and_not_for_later_ones() -> None:
    batcher: Batcher[int, int] = Batcher(Work())
    results = await asyncio.gather(*(batcher.submit(number) for number in (1, 0)), return_exceptions=True)
    assert [type(result) for result in results] == [RuntimeError, RuntimeError]
    assert await batcher.submit(2) == 4


async def test_who_gives_up_stops_neither_the_work_nor_the_others() -> None:
    work = Work()
    batcher: Batcher[int, int] = Batcher(work)
    work.go.clear()
    impatient, patient = (asyncio.create_task(batcher.submit(number)) for number in (1, 2))
    await asyncio.sleep(0.01)
    impatient.cancel()
    await asyncio.sleep(0)
    work.go.set()
    assert await patient == 4
    assert impatient.cancelled()
    assert work.batches == [[1, 2]]


async def test_finish_waits_for_what_is_in_hand() -> None:
    work = Work()
    batcher: Batcher[int, int] = Batcher(work)
    await batcher.finish()
    work.go.clear()
    task = asyncio.create_task(batcher.submit(1))
    await asyncio.sleep(0.01)
    finishing = asyncio.create_task(batcher.finish())
    await asyncio.sleep(0.01)
    assert not finishing.done()
    work.go.set()
    await asyncio.wait_for(finishing, 1)
    assert await task == 2


async def test_a_cancelled_worker_leaves_nobody_waiting_and_nothing_behind() -> None:
    work = Work()
    batcher: Batcher[int, int] = Batcher(work, max_batch=1)
    work.go.clear()
    tasks = [asyncio.create_task(batcher.submit(number)) for number in (1, 2)]
    await asyncio.sleep(0.01)
    assert batcher._worker is not None
    batcher._worker.cancel()
    for task in tasks:
        with pytest.raises(asyncio.CancelledError):
            await task
    work.running = 0
    work.go.set()
    assert await batcher.submit(3) == 6
    assert work.batches == [[1], [3]]
