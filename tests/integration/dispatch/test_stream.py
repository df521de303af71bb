"""The stream: every step once and in order for whoever watches, resumable, whatever commits late."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import update

from services.dispatch.domain.case import SYSTEM, ReportedAction
from services.dispatch.domain.commands import PerformAction
from services.dispatch.models import steps
from services.dispatch.operations.case_commands import execute_commands, raise_refusal
from services.dispatch.operations.change_stream import parse_position
from services.dispatch.operations.demands import open_cases
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
            for event in chunk.decode().split("\n\n"):
                lines = dict(line.split(": ", 1) for line in event.splitlines() if ": " in line)
                if "data" in lines:
                    self.events.append((lines["id"], json.loads(lines["data"])))
        self.ended = True

    @property
    def steps(self) -> list[tuple[str, int]]:
        return [(event["case"]["id"], event["entry"]["seq"]) for _, event in self.events]

    async def latest(self) -> tuple[str, int]:
        """What was told last."""
        return self.steps[-1] if self.steps else ("", 0)

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
    """What was told last may be told again, in its place; nothing is left out."""
    async with watching(dispatch) as watcher:
        case_id = await dispatch.deliver_demand()
        await watcher.until(2)
    await dispatch.take_action(case_id, "accept")
    await dispatch.take_action(case_id, "depart")
    async with watching(dispatch, after=watcher.events[0][0]) as resumed:
        await resumed.until(2)
        await dispatch.take_action(case_id, "arrive")
        await eventually(resumed.latest, (case_id, 5).__eq__)
    assert list(dict.fromkeys(resumed.steps))[-4:] == [(case_id, seq) for seq in (2, 3, 4, 5)]


async def test_from_now_on_is_not_what_was_told_before(
    dispatch: DispatchDriver, reading: asyncio.Task[None]
) -> None:
    async with watching(dispatch) as first:
        case_id = await dispatch.deliver_demand()
        await first.until(2)
        async with watching(dispatch) as second:
            await dispatch.take_action(case_id, "accept")
            await second.until(1)
    assert second.steps == [(case_id, 3)]


async def test_it_tells_what_another_copy_commits(
    dispatch: DispatchDriver, reading: asyncio.Task[None]
) -> None:
    copy = await dispatch.make_copy()
    async with watching(dispatch) as watcher:
        event = dispatch.accepted_event()
        await open_cases(copy, [event])
        await eventually(watcher.latest, (event.data.demand, 2).__eq__)
        await dispatch.take_action(event.data.demand, "accept")
        await eventually(watcher.latest, (event.data.demand, 3).__eq__)
    assert watcher.steps == [(event.data.demand, seq) for seq in (1, 2, 3)]


async def test_only_the_properties_that_are_seen_are_told(
    dispatch: DispatchDriver, reading: asyncio.Task[None]
) -> None:
    async with watching(dispatch, sees=lambda name: name == "annex") as watcher:
        await dispatch.deliver_demand()
        mine = await dispatch.deliver_demand(property="annex")
        await watcher.until(2)
    assert {case for case, _ in watcher.steps} == {mine}


@pytest.mark.parametrize("store", ["postgresql"], indirect=True)
async def test_what_another_copy_commits_late_is_told_also_to_who_left_before(
    dispatch: DispatchDriver, reading: asyncio.Task[None]
) -> None:
    """A transaction that began first and commits last. (SQLite has one writer.)"""
    late, copy = await dispatch.deliver_demand(), await dispatch.make_copy()
    async with watching(dispatch) as watcher:
        async with copy.database.transaction() as slow:
            act = ReportedAction(action="note", actor=SYSTEM, data={"text": "late"})
            commands = [PerformAction(case=late, act=act)]
            raise_refusal(await execute_commands(slow, copy, commands, copy.clock.now()))
            case_id = await dispatch.deliver_demand()
            await watcher.until(2)
            assert watcher.steps == [(case_id, 1), (case_id, 2)], "told at once, whatever is open elsewhere"
        await eventually(watcher.latest, (late, 3).__eq__)
    async with watching(dispatch, after=watcher.events[1][0]) as resumed:
        await eventually(resumed.latest, (case_id, 2).__eq__)
    assert (late, 3) in resumed.steps


@pytest.mark.parametrize("store", ["postgresql"], indirect=True)
async def test_after_a_restore_into_another_cluster_the_stream_goes_on(
    dispatch: DispatchDriver, reading: asyncio.Task[None]
) -> None:
    """Its transactions have lower numbers than those of the rows."""
    old = await dispatch.deliver_demand()
    await dispatch.service.relay.drain()
    async with dispatch.service.database.transaction() as connection:
        await connection.execute(update(steps).values(xid=steps.c.xid + 10**12))
    copy = await dispatch.make_copy()
    async with watching(dispatch) as watcher:
        event = dispatch.accepted_event()
        await open_cases(copy, [event])
        await eventually(watcher.latest, (event.data.demand, 2).__eq__)
    async with watching(dispatch, after="0-0") as resumed:
        await resumed.until(4)
    assert resumed.steps == [(name, seq) for name in (old, event.data.demand) for seq in (1, 2)]


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
    assert parse_position("12-34") == parse_position("12-34-56") == (12, 34)
