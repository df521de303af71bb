"""Batches are handled once, in one transaction; what fails is retried or stored as a dead letter alone."""

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
from tests.integration.shared.conftest import TABLES, MessagingDriver, make_fact
from tests.support.waiting import eventually

QUEUE = "kpi.facts"


class Handler:
    """Answers each event with one of its own; fails for the ids in `failures`."""

    def __init__(self, **failures: Exception) -> None:
        self.failures = failures
        self.batches: list[list[str]] = []

    async def count_batches(self) -> int:
        """For waiting."""
        return len(self.batches)

    async def __call__(
        self, host: MessagingDriver, connection: AsyncConnection, events: Sequence[Event]
    ) -> None:
        self.batches.append([event.id for event in events])
        await host.outbox.record(connection, *(make_fact(f"re:{event.id}", host.clock) for event in events))
        for event in events:
            if event.id in self.failures:
                raise self.failures[event.id]


def make_consumer(messaging: MessagingDriver, handler: Handler) -> EventConsumer:
    return EventConsumer(messaging, Subscription(QUEUE, partial(handler, messaging)))


def make_deliveries(messaging: MessagingDriver, *ids: str, attempt: int = 0) -> list[Delivery]:
    bodies = [encode(make_fact(id_, messaging.clock)) for id_ in ids]
    return [
        Delivery(queue=QUEUE, body=body, attempt=attempt, headers={"content-type": "x"}) for body in bodies
    ]


async def count_outbox(messaging: MessagingDriver) -> int:
    return len(await messaging.rows(TABLES.outbox))


async def test_each_event_is_handled_once_however_often_and_in_whatever_batches_it_comes(
    messaging: MessagingDriver,
) -> None:
    handler = Handler()
    consume = make_consumer(messaging, handler).consume
    await consume(make_deliveries(messaging, "a", "b", "a"))
    await consume(make_deliveries(messaging, "b", "c"))
    await asyncio.gather(
        consume(make_deliveries(messaging, "c", "d", "e")), consume(make_deliveries(messaging, "e", "d", "a"))
    )
    assert handler.batches[0] == ["a", "b"]
    assert sorted(id_ for ids in handler.batches for id_ in ids) == ["a", "b", "c", "d", "e"]
    assert await count_outbox(messaging) == 5


async def test_another_consumer_handles_the_same_events_for_itself(messaging: MessagingDriver) -> None:
    events = [
        make_fact("a", messaging.clock),
        make_fact("b", messaging.clock),
        make_fact("a", messaging.clock),
    ]
    async with messaging.database.transaction() as connection:
        assert await messaging.inbox.once(connection, "one", events) == events[:2]
        assert await messaging.inbox.once(connection, "two", list(reversed(events[1:]))) == [
            events[2],
            events[1],
        ]
        assert await messaging.inbox.once(connection, "one", events) == []
        assert await messaging.inbox.once(connection, "one", []) == []


async def test_what_fails_is_stored_alone_and_isolated_in_few_transactions(
    messaging: MessagingDriver,
) -> None:
    ids = [f"{number}" for number in range(256)]
    handler = Handler(**{"77": InvalidInput.of("data.x", "This is wrong"), "200": RuntimeError("secret")})
    await make_consumer(messaging, handler).consume(make_deliveries(messaging, *ids))
    dead_letters = await messaging.rows(TABLES.dead_letters)
    assert sorted(letter.reason for letter in dead_letters) == [
        "RuntimeError",
        "not-valid: data.x: This is wrong",
    ]
    assert all(
        (letter.queue, letter.attempts, letter.headers) == (QUEUE, 1, {"content-type": "x"})
        for letter in dead_letters
    )
    assert await count_outbox(messaging) == 254
    assert len(handler.batches) < 40


async def test_an_event_whose_time_has_not_come_is_retried_later_and_at_last_stored(
    messaging: MessagingDriver,
) -> None:
    handler = Handler(early=RetryLater("its case is not here yet"))
    consume = make_consumer(messaging, handler).consume
    for attempt in range(8):
        await consume(make_deliveries(messaging, "early", f"other-{attempt}", attempt=attempt))
    assert [(delivery.attempt, seconds) for delivery, _, seconds in messaging.bus.retried] == [
        (0, 1), (1, 5), (2, 30), (3, 30), (4, 30), (5, 30), (6, 30),
    ]  # fmt: skip
    (letter,) = await messaging.rows(TABLES.dead_letters)
    assert (letter.reason, letter.attempts) == ("Retry: its case is not here yet", 8)
    assert await count_outbox(messaging) == 8
    handler.failures = {}
    await consume(make_deliveries(messaging, "early"))
    assert await count_outbox(messaging) == 9, "what failed does not count as handled"


async def test_while_the_database_is_away_a_batch_waits_and_nothing_is_stored(
    messaging: MessagingDriver,
) -> None:
    handler = Handler(a=OperationalError("insert", {}, Exception("server closed the connection")))
    consuming = asyncio.create_task(
        make_consumer(messaging, handler).consume(make_deliveries(messaging, "a", "b"))
    )
    await eventually(handler.count_batches, lambda number: number > 1)
    handler.failures = {}
    await asyncio.wait_for(consuming, 3)
    assert handler.batches[-1] == ["a", "b"]
    assert await messaging.rows(TABLES.dead_letters) == []
    assert await count_outbox(messaging) == 2


async def test_a_retry_waits_for_its_broker(
    messaging: MessagingDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0

    async def away(delivery: Delivery, body: bytes, seconds: int) -> None:
        nonlocal calls
        calls += 1
        if calls < 3:
            raise BusDown

    monkeypatch.setattr(messaging.bus, "retry", away)
    await make_consumer(messaging, Handler(a=RetryLater("later"))).consume(make_deliveries(messaging, "a"))
    assert calls == 3
    assert await messaging.rows(TABLES.dead_letters) == []


async def test_a_giant_batch_is_handled_in_batches_of_five_hundred(messaging: MessagingDriver) -> None:
    handler, ids = Handler(), [f"{number}" for number in range(1201)]
    bodies = b"[" + b",".join(encode(make_fact(id_, messaging.clock)) for id_ in ids) + b"]"
    await make_consumer(messaging, handler).consume([Delivery(queue=QUEUE, body=bodies)])
    assert [len(members) for members in handler.batches] == [500, 500, 201]
    assert await count_outbox(messaging) == 1201


async def test_a_trace_goes_from_the_event_into_what_it_leads_to(messaging: MessagingDriver) -> None:
    trace = f"00-{'ab' * 16}-{'cd' * 8}-01"
    event = Event.of(
        FeeReversed(property="t", payment="p"), source="s", time=messaging.clock.now(), trace=trace
    )
    await make_consumer(messaging, Handler()).consume([Delivery(queue=QUEUE, body=encode(event))])
    assert trace.encode() in (await messaging.rows(TABLES.outbox))[0].body


async def test_dead_letters_are_counted_and_listed_by_queue_and_reason(messaging: MessagingDriver) -> None:
    async with messaging.database.transaction() as connection:
        for number, (queue, reason) in enumerate((("a", "one 100%"), ("a", "two_x"), ("b", "one"))):
            letter = Delivery(queue=queue, body=b"%d" % number, attempt=2)
            await messaging.dead_letters.store(connection, [(letter, reason)])
            messaging.clock.advance(timedelta(seconds=1))
        await messaging.dead_letters.store(connection, [])
    async with messaging.database.transaction() as connection:
        list_pending = messaging.dead_letters.list_pending
        assert await messaging.dead_letters.count_by_queue(connection) == {"a": 2, "b": 1}
        assert [row.body for row in await list_pending(connection, None, None, 2)] == [b"0", b"1"]
        assert [row.body for row in await list_pending(connection, "a", "one", 9)] == [b"0"]
        assert [row.body for row in await list_pending(connection, None, "0%", 9)] == [b"0"]
        assert [row.body for row in await list_pending(connection, None, "_", 9)] == [b"1"]
        await messaging.dead_letters.mark_replayed(
            connection, [(await list_pending(connection, "b", None, 1))[0].id]
        )
        assert await messaging.dead_letters.count_by_queue(connection) == {"a": 2}
