"""Sets are taken once, in one transaction; what cannot be taken is retried or buried by itself."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.errors import InvalidInput
from shared.messages.cloudevents import Event, encode
from shared.messages.facts import FeeReversed
from shared.messaging.bus import BusDown, Delivery
from shared.messaging.consumer import EventConsumer, RetryLater, Subscription
from tests.integration.shared.conftest import TABLES, Bench, fact
from tests.support.waiting import eventually

QUEUE = "kpi.facts"


class Handler:
    """Answers each event with one of its own; fails as it is told."""

    def __init__(self, **failures: Exception) -> None:
        self.failures = failures
        self.sets: list[list[str]] = []

    async def number_of_sets(self) -> int:
        """For waiting."""
        return len(self.sets)

    async def __call__(self, host: Bench, connection: AsyncConnection, events: Sequence[Event]) -> None:
        self.sets.append([event.id for event in events])
        await host.outbox.record(connection, *(fact(f"re:{event.id}", host.clock) for event in events))
        for event in events:
            if event.id in self.failures:
                raise self.failures[event.id]


def receiver(bench: Bench, handler: Handler) -> EventConsumer:
    return EventConsumer(bench, Subscription(QUEUE, partial(handler, bench)))


def delivered(bench: Bench, *ids: str, attempt: int = 0) -> list[Delivery]:
    bodies = [encode(fact(id_, bench.clock)) for id_ in ids]
    return [
        Delivery(queue=QUEUE, body=body, attempt=attempt, headers={"content-type": "x"}) for body in bodies
    ]


async def said(bench: Bench) -> int:
    return len(await bench.rows(TABLES.outbox))


async def test_each_event_is_handled_once_however_often_and_in_whatever_sets_it_comes(bench: Bench) -> None:
    handler = Handler()
    take = receiver(bench, handler).take
    await take(delivered(bench, "a", "b", "a"))
    await take(delivered(bench, "b", "c"))
    await asyncio.gather(take(delivered(bench, "c", "d", "e")), take(delivered(bench, "e", "d", "a")))
    assert handler.sets[0] == ["a", "b"]
    assert sorted(id_ for ids in handler.sets for id_ in ids) == ["a", "b", "c", "d", "e"]
    assert await said(bench) == 5


async def test_another_consumer_takes_the_same_events_for_itself(bench: Bench) -> None:
    events = [fact("a", bench.clock), fact("b", bench.clock), fact("a", bench.clock)]
    async with bench.database.transaction() as connection:
        assert await bench.inbox.once(connection, "one", events) == events[:2]
        assert await bench.inbox.once(connection, "two", list(reversed(events[1:]))) == [events[2], events[1]]
        assert await bench.inbox.once(connection, "one", events) == []
        assert await bench.inbox.once(connection, "one", []) == []


async def test_what_fails_is_buried_alone_and_found_in_few_transactions(bench: Bench) -> None:
    ids = [f"{number}" for number in range(256)]
    handler = Handler(**{"77": InvalidInput.of("data.x", "This is wrong"), "200": RuntimeError("secret")})
    await receiver(bench, handler).take(delivered(bench, *ids))
    letters = await bench.rows(TABLES.dead_letters)
    assert sorted(letter.reason for letter in letters) == ["RuntimeError", "not-valid: data.x: This is wrong"]
    assert all(
        (letter.queue, letter.attempts, letter.headers) == (QUEUE, 1, {"content-type": "x"})
        for letter in letters
    )
    assert await said(bench) == 254
    assert len(handler.sets) < 40


async def test_an_event_whose_time_has_not_come_is_retried_later_and_at_last_buried(bench: Bench) -> None:
    handler = Handler(early=RetryLater("its case is not here yet"))
    take = receiver(bench, handler).take
    for attempt in range(8):
        await take(delivered(bench, "early", f"other-{attempt}", attempt=attempt))
    assert [(delivery.attempt, seconds) for delivery, _, seconds in bench.wire.retried] == [
        (0, 1), (1, 5), (2, 30), (3, 30), (4, 30), (5, 30), (6, 30),
    ]  # fmt: skip
    (letter,) = await bench.rows(TABLES.dead_letters)
    assert (letter.reason, letter.attempts) == ("Retry: its case is not here yet", 8)
    assert await said(bench) == 8
    handler.failures = {}
    await take(delivered(bench, "early"))
    assert await said(bench) == 9, "what failed does not count as taken"


async def test_while_the_database_is_away_a_set_is_held_and_nothing_is_buried(bench: Bench) -> None:
    handler = Handler(a=OperationalError("insert", {}, Exception("server closed the connection")))
    taking = asyncio.create_task(receiver(bench, handler).take(delivered(bench, "a", "b")))
    await eventually(handler.number_of_sets, lambda number: number > 1)
    handler.failures = {}
    await asyncio.wait_for(taking, 3)
    assert handler.sets[-1] == ["a", "b"]
    assert await bench.rows(TABLES.dead_letters) == []
    assert await said(bench) == 2


async def test_a_retry_waits_for_its_broker(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = 0

    async def away(delivery: Delivery, body: bytes, seconds: int) -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise BusDown

    monkeypatch.setattr(bench.wire, "retry", away)
    await receiver(bench, Handler(a=RetryLater("later"))).take(delivered(bench, "a"))
    assert tries == 3
    assert await bench.rows(TABLES.dead_letters) == []


async def test_a_giant_set_is_taken_in_sets_of_five_hundred(bench: Bench) -> None:
    handler, ids = Handler(), [f"{number}" for number in range(1201)]
    bodies = b"[" + b",".join(encode(fact(id_, bench.clock)) for id_ in ids) + b"]"
    await receiver(bench, handler).take([Delivery(queue=QUEUE, body=bodies)])
    assert [len(members) for members in handler.sets] == [500, 500, 201]
    assert await said(bench) == 1201


async def test_a_trace_goes_from_the_event_into_what_it_leads_to(bench: Bench) -> None:
    trace = f"00-{'ab' * 16}-{'cd' * 8}-01"
    told = Event.of(FeeReversed(property="t", payment="p"), source="s", time=bench.clock.now(), trace=trace)
    await receiver(bench, Handler()).take([Delivery(queue=QUEUE, body=encode(told))])
    assert trace.encode() in (await bench.rows(TABLES.outbox))[0].body


async def test_dead_letters_are_counted_and_listed_by_queue_and_reason(bench: Bench) -> None:
    async with bench.database.transaction() as connection:
        for number, (queue, reason) in enumerate((("a", "one 100%"), ("a", "two_x"), ("b", "one"))):
            letter = Delivery(queue=queue, body=b"%d" % number, attempt=2)
            await bench.dead_letters.store(connection, [(letter, reason)])
            bench.clock.advance(timedelta(seconds=1))
        await bench.dead_letters.store(connection, [])
    async with bench.database.transaction() as connection:
        listed = bench.dead_letters.list_pending
        assert await bench.dead_letters.count_by_queue(connection) == {"a": 2, "b": 1}
        assert [row.body for row in await listed(connection, None, None, 2)] == [b"0", b"1"]
        assert [row.body for row in await listed(connection, "a", "one", 9)] == [b"0"]
        assert [row.body for row in await listed(connection, None, "0%", 9)] == [b"0"]
        assert [row.body for row in await listed(connection, None, "_", 9)] == [b"1"]
        await bench.dead_letters.mark_replayed(connection, [(await listed(connection, "b", None, 1))[0].id])
        assert await bench.dead_letters.count_by_queue(connection) == {"a": 2}
