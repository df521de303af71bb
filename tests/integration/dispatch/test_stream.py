"""The stream: every step once and in order for whoever watches, resumable, whatever commits late."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from services.dispatch.operations.change_stream import parse_position
from shared.errors import InvalidInput
from tests.integration.dispatch.conftest import DispatchDriver
from tests.support.waiting import eventually


class Watcher:
    """Collects what the stream tells."""

    def __init__(self, dispatch: DispatchDriver, after: str | None, sees: Callable[[str], bool]) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.joined = asyncio.Event()
        self.ended = False
        self._source = dispatch.service.change_stream.watch(parse_position(after), sees)

    async def run(self) -> None:
        async for chunk in self._source:
            self.joined.set()
            lines = dict(line.split(": ", 1) for line in chunk.decode().splitlines() if ": " in line)
            if "data" in lines:
                self.events.append((lines["id"], json.loads(lines["data"])))
        self.ended = True

    @property
    def steps(self) -> list[tuple[str, int]]:
        return [(event["case"]["id"], event["entry"]["seq"]) for _, event in self.events]

    async def until(self, number: int) -> None:
        async def count() -> int:
            return len(self.events)

        await eventually(count, lambda number_of_events: number_of_events >= number)


@asynccontextmanager
async def watching(
    dispatch: DispatchDriver, after: str | None = None, sees: Callable[[str], bool] = lambda _: True
) -> AsyncIterator[Watcher]:
    watcher = Watcher(dispatch, after, sees)
    task = asyncio.create_task(watcher.run())
    await watcher.joined.wait()
    try:
        yield watcher
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def reading(dispatch: DispatchDriver) -> AsyncIterator[asyncio.Task[None]]:
    """The stream's reader, running."""
    task = asyncio.create_task(dispatch.service.change_stream.run())
    yield task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_every_step_is_told_in_order(dispatch: DispatchDriver, reading: asyncio.Task[None]) -> None:
    async with watching(dispatch) as watcher:
        case_id = await dispatch.deliver_demand()
        await dispatch.take_action(case_id, "accept")
        await watcher.until(3)
        assert watcher.steps == [(case_id, 1), (case_id, 2), (case_id, 3)]
        last = watcher.events[-1][1]
        assert (last["case"]["state"], last["entry"]["action"]) == ("accepted", "accept")


async def test_it_goes_on_where_it_was_left(dispatch: DispatchDriver, reading: asyncio.Task[None]) -> None:
    async with watching(dispatch) as watcher:
        case_id = await dispatch.deliver_demand()
        await watcher.until(2)
    await dispatch.take_action(case_id, "accept")
    await dispatch.take_action(case_id, "depart")
    async with watching(dispatch, after=watcher.events[0][0]) as resumed:
        await resumed.until(3)
        await dispatch.take_action(case_id, "arrive")
        await resumed.until(4)
    assert resumed.steps == [(case_id, seq) for seq in (2, 3, 4, 5)]


async def test_only_the_properties_that_are_seen_are_told(
    dispatch: DispatchDriver, reading: asyncio.Task[None]
) -> None:
    async with watching(dispatch, sees=lambda name: name == "annex") as watcher:
        await dispatch.deliver_demand()
        mine = await dispatch.deliver_demand(property="annex")
        await watcher.until(2)
    assert {case for case, _ in watcher.steps} == {mine}


@pytest.mark.parametrize("store", ["postgresql"], indirect=True)
async def test_what_commits_late_is_not_passed_over(
    dispatch: DispatchDriver, reading: asyncio.Task[None]
) -> None:
    """A transaction that began first and commits last comes in its place. (SQLite has one writer.)"""
    async with watching(dispatch) as watcher:
        async with dispatch.service.database.transaction() as slow:
            await slow.exec_driver_sql("SELECT pg_current_xact_id()")
            case_id = await dispatch.deliver_demand()
            await asyncio.sleep(0.1)
            assert watcher.steps == []
            await dispatch.service.outbox.record(slow)
        await watcher.until(2)
    assert watcher.steps == [(case_id, 1), (case_id, 2)]


async def test_many_watchers_of_many_changes_miss_nothing(
    dispatch: DispatchDriver, reading: asyncio.Task[None]
) -> None:
    watchers = [Watcher(dispatch, None, lambda _: True) for _ in range(20)]
    tasks = [asyncio.create_task(watcher.run()) for watcher in watchers]
    await asyncio.gather(*(watcher.joined.wait() for watcher in watchers))
    events = [dispatch.accepted_event() for _ in range(30)]
    await asyncio.gather(*(dispatch.deliver(*events[start : start + 10]) for start in (0, 10, 20)))
    await asyncio.gather(*(watcher.until(60) for watcher in watchers))
    assert {tuple(watcher.steps) for watcher in watchers} == {tuple(watchers[0].steps)}
    assert len(set(watchers[0].steps)) == 60
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_watchers_are_let_go_when_the_service_leaves(
    dispatch: DispatchDriver, reading: asyncio.Task[None]
) -> None:
    async with watching(dispatch) as watcher:
        dispatch.service.stopping.set()

        async def ended() -> bool:
            return watcher.ended

        await eventually(ended)


async def test_over_http_a_bad_place_is_refused(dispatch: DispatchDriver) -> None:
    headers = dispatch.headers_for("dispatcher") | {"Last-Event-ID": "yesterday"}
    assert (await dispatch.http.get("/v1/cases/stream", headers=headers)).status_code == 422
    with pytest.raises(InvalidInput):
        parse_position("1-x")
    assert parse_position("12-34") == (12, 34)
