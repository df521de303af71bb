"""More comes than can be taken: a 503 that says when to come again, and what was accepted is all there."""

import asyncio
import json
from typing import Any

import pytest

from services.intake.jobs import watch_backlog_for_ever
from services.intake.operations import acceptor
from tests.integration.intake.conftest import BATCHED, DEMAND, IntakeDriver, make_event, make_fee
from tests.support.waiting import eventually


class SlowDatabase:
    """Lets intake's writes begin only once `opens` is set."""

    def __init__(self, intake: IntakeDriver, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opens = asyncio.Event()
        writer = intake.service.acceptor._writer
        really = writer._write

        async def wait_and_write(*arguments: Any) -> None:
            await self.opens.wait()
            await really(*arguments)

        monkeypatch.setattr(writer, "_write", wait_and_write)


async def test_no_more_wait_for_a_commit_than_memory_holds(
    intake: IntakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acceptor, "MAX_WAITING", 11_500)
    database = SlowDatabase(intake, monkeypatch)
    singles = [asyncio.create_task(intake.post_event(make_event(f"e-{n}"))) for n in range(30)]
    await eventually(lambda: count_done(singles), (20).__eq__)
    answer = await intake.post("/v1/events", [make_fee()], BATCHED)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    database.opens.set()
    statuses = [answer.status_code for answer in await asyncio.gather(*singles)]
    assert sorted(statuses) == [202] * 10 + [503] * 20
    assert await intake.count_accepted() == (10, 10)
    assert (await intake.post_event(make_event("later"))).status_code == 202


async def count_done(tasks: list[asyncio.Task[Any]]) -> int:
    return sum(task.done() for task in tasks)


async def test_large_ones_are_counted_by_their_size(
    intake: IntakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acceptor, "MAX_WAITING", 50_000)
    database = SlowDatabase(intake, monkeypatch)
    large = DEMAND | {"details": {"a": "y" * 20_000}}
    posts = [asyncio.create_task(intake.post("/v1/demands", large)) for _ in range(5)]
    await eventually(lambda: count_done(posts), (3).__eq__)
    database.opens.set()
    answers = await asyncio.gather(*posts)
    assert sorted(answer.status_code for answer in answers) == [202, 202, 503, 503, 503]


async def test_more_than_the_disk_may_hold_unpublished_is_refused_in_either_language(
    intake: IntakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acceptor, "MAX_BACKLOG", 3)
    await intake.post_batch(*(make_fee(f"f-{number}") for number in range(3)))
    watch = asyncio.create_task(watch_backlog_for_ever(intake.service.acceptor, intake.service.relay))
    try:
        await eventually(lambda: read_backlog(intake), (3).__eq__)
    finally:
        watch.cancel()
    refused = await intake.post_event(make_event())
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "30")
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json() == {
        "type": "urn:guanjia:problem:overloaded",
        "title": "More comes than can be taken at the moment",
        "status": 503,
        "detail": "Try again in 30 s.",
    }
    chinese = await intake.post("/v1/demands", DEMAND, accept_language="zh")
    assert (chinese.json()["title"], chinese.json()["detail"]) == (
        "当前请求过多，暂时无法受理", "请在 30 秒后重试。",
    )  # fmt: skip
    assert await intake.count_accepted() == (3, 0)
    intake.service.acceptor.backlog = 2
    assert (await intake.post_event(make_event())).status_code == 202


async def read_backlog(intake: IntakeDriver) -> int:
    return intake.service.acceptor.backlog


async def test_what_comes_by_rabbitmq_waits_in_its_queue(
    intake: IntakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acceptor, "_BACKLOG_SECONDS", 0)
    intake.service.acceptor.backlog = acceptor.MAX_BACKLOG
    delivery = asyncio.create_task(intake.driver.deliver("intake.inbound", json.dumps(make_event()).encode()))
    assert (await intake.post_event(make_fee())).status_code == 503
    assert not delivery.done()
    intake.service.acceptor.backlog = 0
    await delivery
    assert await intake.count_accepted() == (1, 1)
    assert await intake.driver.dead_letters() == []
