"""An accepted event's row is what is published of it: from memory or read again, the same bytes."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from services.intake.domain.incoming_event import EventContext, IncomingEvent, make_event
from services.intake.operations.acceptance import EventWriter
from shared.messages.cloudevents import decode_events
from shared.messages.events import DemandAccepted
from shared.messages.facts import DemandRaised, FeePaid
from shared.messaging.embedded import EmbeddedBus, messages
from shared.messaging.outbox import LEASE
from tests.integration.intake.conftest import IntakeDriver, make_fee, open_intake
from tests.integration.intake.conftest import make_event as make_demand
from tests.support.stores import Store

TRACE = f"00-{'ab' * 16}-{'cd' * 8}-01"
FULL = {
    "property": "tower",
    "kind": "repair",
    "summary": '厨房 "tap" drips',
    "description": "since \u2028 Monday",
    "requester": {"name": "李", "phone": "13800138000"},
    "details": {"papers": [1, None, {"a": 1.5}]},
}


async def test_what_is_read_again_is_to_the_byte_what_was_handed_over(intake: IntakeDriver) -> None:
    members = [make_demand("e-1", FULL), make_fee(), make_demand("e-2", time=None)]
    del members[2]["time"]
    await intake.post("/v1/events", members, "application/cloudevents-batch+json", traceparent=TRACE)
    (publication,) = intake.service.outbox.waiting
    async with intake.service.database.autocommit() as connection:
        _, source = intake.service.relay.sources
        stored = await source.read_events(connection, [publication.xid, publication.xid + 1])
    assert Counter(stored) == Counter((publication.xid, member) for member in publication.events)
    assert await intake.driver.rows(intake.service.messaging_tables.outbox) == []
    demand, fee, _ = (decode_events(member.body)[0] for member in publication.events)
    assert isinstance(demand.data, DemandAccepted)
    assert (demand.id, demand.data.details, demand.trace) == (demand.data.demand, FULL["details"], TRACE)
    assert isinstance(fee.data, FeePaid)


async def test_what_a_crash_left_behind_is_published_from_the_rows(intake: IntakeDriver) -> None:
    results = await intake.post_batch(*(make_demand(f"e-{number}") for number in range(300)), make_fee())
    intake.service.outbox.waiting.clear()  # as if the process had died
    assert await intake.service.relay.send_unconfirmed() == 0
    intake.clock.advance(LEASE)
    assert await intake.service.relay.send_unconfirmed() == 1
    assert await intake.service.relay.measure_backlog() == (0, 0.0)
    bodies = await read_queue(intake, "dispatch.demands")
    ids = [member.id for body in bodies for member in decode_events(body)]
    assert sorted(ids) == sorted(result["demand"] for result in results if "demand" in result)
    assert len(await read_queue(intake, "kpi.facts")) == 1


async def read_queue(intake: IntakeDriver, queue: str) -> list[bytes]:
    """The bodies on a queue of the embedded bus."""
    bus = intake.service.bus
    assert isinstance(bus, EmbeddedBus)
    async with bus.database.snapshot() as connection:
        rows = await connection.execute(messages.select().where(messages.c.queue == queue))
        return [row.body for row in rows]


@contextmanager
def statements(intake: IntakeDriver) -> Iterator[list[str]]:
    """The statements that intake executes meanwhile."""
    executed: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        executed.append(statement)

    engine = intake.service.database._writer.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield executed
    finally:
        event.remove(engine, "before_cursor_execute", note)


async def test_a_batch_is_one_statement_and_a_name_that_is_taken_the_exception(intake: IntakeDriver) -> None:
    members = [make_demand(f"e-{number}") for number in range(300)]
    await intake.post_batch(make_fee())
    with statements(intake) as executed:
        await intake.post_batch(*members)
    if intake.service.database.is_postgres:
        assert len(executed) == 1
    else:
        assert [statement.split()[0] for statement in executed] == ["BEGIN", "INSERT", "INSERT"]
    with statements(intake) as executed:
        results = await intake.post_batch(make_demand("new"), *members[:2])
    assert [result["status"] for result in results] == ["accepted", "duplicate", "duplicate"]
    assert len(await intake.outbox_events()) == 302


async def test_what_another_copy_accepts_in_the_same_moment_is_accepted_once(
    intake: IntakeDriver, store: Store, tmp_path: Path
) -> None:
    members = [make_demand(f"e-{number}") for number in range(200)]
    async with open_intake(store, tmp_path) as copy:
        rounds = [
            doer.post_batch(*members[start : start + 40])
            for start in (0, 20, 40, 60, 80, 100, 120, 140, 160)
            for doer in (intake, copy)
        ]
        results = [result for answer in await asyncio.gather(*rounds) for result in answer]
    assert Counter(result["status"] for result in results)["accepted"] == 200
    assert len({(result["id"], result["demand"]) for result in results}) == 200
    assert len(await intake.outbox_events()) == 200


async def test_a_name_that_is_taken_between_two_tries_is_tried_again(
    intake: IntakeDriver, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another copy accepts one more of the batch each time that this one has looked what is there."""
    batch = [make_incoming(intake, f"e-{number}") for number in range(5)]
    other = EventWriter(intake.service.database, intake.service.outbox)
    rest, really = iter(batch), EventWriter._write

    async def lose_a_race(self: EventWriter, fresh: Any, now: Any) -> None:
        if self is not other and (ahead := next(rest, None)) is not None and len(fresh) > 2:
            await really(other, [ahead], now)
        await really(self, fresh, now)

    monkeypatch.setattr(EventWriter, "_write", lose_a_race)
    writer = EventWriter(intake.service.database, intake.service.outbox)
    outcomes = await writer.accept(batch, intake.clock.now())
    assert [getattr(outcome, "status", None) for outcome in outcomes] == ["duplicate"] * 3 + ["accepted"] * 2
    assert await intake.count_accepted() == (5, 5)
    assert len(await intake.outbox_events()) == 5


def make_incoming(intake: IntakeDriver, id_: str) -> IncomingEvent:
    """A demand as it is accepted."""
    service = intake.service
    context = EventContext(
        by="tester", now=intake.clock.now(), properties=service.properties, kinds=service.kinds
    )
    data = DemandRaised(property="tower", kind="repair", summary="It leaks")
    return make_event("/owner-app", id_, "guanjia.demand.raised.v1", None, data, context)
