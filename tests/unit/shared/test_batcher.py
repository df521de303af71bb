"""Concurrent work shares a set; each member gets its own result, and no failure reaches another set."""

import asyncio
from collections.abc import Sequence

import pytest

from shared.batcher import Batcher


class Work:
    """Doubles numbers; refuses negative ones, and fails as a whole on zero."""

    def __init__(self) -> None:
        self.sets: list[list[int]] = []
        self.running = 0
        self.go = asyncio.Event()
        self.go.set()

    async def __call__(self, members: Sequence[int]) -> Sequence[int | Exception]:
        self.sets.append(list(members))
        self.running += 1
        assert self.running == 1, "never two sets at a time"
        await self.go.wait()
        self.running -= 1
        if 0 in members:
            raise RuntimeError("zero")
        return [2 * member if member > 0 else ValueError("negative") for member in members]


async def test_what_is_queued_while_one_set_runs_is_the_next_set() -> None:
    work = Work()
    sets: Batcher[int, int] = Batcher(work, most=10)
    work.go.clear()
    tasks = [asyncio.create_task(sets.submit(1))]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    tasks += [asyncio.create_task(sets.submit(number)) for number in range(2, 15)]
    await asyncio.sleep(0)
    work.go.set()
    assert await asyncio.gather(*tasks) == [2 * number for number in range(1, 15)]
    assert [len(members) for members in work.sets] == [1, 10, 3]


async def test_a_single_one_does_not_wait_for_others() -> None:
    work = Work()
    sets: Batcher[int, int] = Batcher(work)
    assert await asyncio.wait_for(sets.submit(4), 1) == 8
    assert await asyncio.wait_for(sets.submit(5), 1) == 10
    assert work.sets == [[4], [5]]


async def test_each_member_gets_its_own_result_or_error() -> None:
    sets: Batcher[int, int] = Batcher(Work())
    results = await asyncio.gather(*(sets.submit(number) for number in (1, -2, 3)), return_exceptions=True)
    assert (results[0], type(results[1]), results[2]) == (2, ValueError, 6)


async def test_a_set_that_fails_fails_for_its_members_and_not_for_later_ones() -> None:
    sets: Batcher[int, int] = Batcher(Work())
    results = await asyncio.gather(*(sets.submit(number) for number in (1, 0)), return_exceptions=True)
    assert [type(result) for result in results] == [RuntimeError, RuntimeError]
    assert await sets.submit(2) == 4


async def test_who_gives_up_stops_neither_the_work_nor_the_others() -> None:
    work = Work()
    sets: Batcher[int, int] = Batcher(work)
    work.go.clear()
    impatient, patient = (asyncio.create_task(sets.submit(number)) for number in (1, 2))
    await asyncio.sleep(0.01)
    impatient.cancel()
    await asyncio.sleep(0)
    work.go.set()
    assert await patient == 4
    assert impatient.cancelled()
    assert work.sets == [[1, 2]]


async def test_finish_waits_for_what_is_in_hand() -> None:
    work = Work()
    sets: Batcher[int, int] = Batcher(work)
    await sets.finish()
    work.go.clear()
    task = asyncio.create_task(sets.submit(1))
    await asyncio.sleep(0.01)
    finishing = asyncio.create_task(sets.finish())
    await asyncio.sleep(0.01)
    assert not finishing.done()
    work.go.set()
    await asyncio.wait_for(finishing, 1)
    assert await task == 2


async def test_a_cancelled_worker_leaves_nobody_waiting_and_nothing_behind() -> None:
    work = Work()
    sets: Batcher[int, int] = Batcher(work, most=1)
    work.go.clear()
    tasks = [asyncio.create_task(sets.submit(number)) for number in (1, 2)]
    await asyncio.sleep(0.01)
    assert sets._worker is not None
    sets._worker.cancel()
    for task in tasks:
        with pytest.raises(asyncio.CancelledError):
            await task
    work.running = 0
    work.go.set()
    assert await sets.submit(3) == 6
    assert work.sets == [[1], [3]]
