"""Only what was committed is sent, all of it, packed within limits; refusals back off and nothing is lost."""

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import text

from shared.messages.cloudevents import Event, decode_batch
from shared.messaging.bus import BusDown, Message
from shared.messaging.outbox import LEASE, Outbox
from shared.messaging.relay import Relay
from tests.contract.samples import case
from tests.integration.shared.conftest import (
    TABLES,
    MessagingDriver,
    RecordingBus,
    make_demand_event,
    make_fact,
)
from tests.support.waiting import eventually

OPEN_WRITES = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_xid IS NOT NULL"
)
"""How many transactions have written and are open."""


async def test_what_was_not_committed_is_never_sent(messaging: MessagingDriver) -> None:
    with pytest.raises(RuntimeError):
        async with messaging.database.transaction() as connection:
            await messaging.outbox.record(connection, make_fact("1", messaging.clock))
            raise RuntimeError
    assert await messaging.relay.drain() == 0
    messaging.clock.advance(LEASE)
    assert await messaging.relay.send_unconfirmed() == 0
    assert messaging.bus.sent == []


async def test_what_was_committed_is_sent_at_once_and_settled(messaging: MessagingDriver) -> None:
    await messaging.record(make_fact("1", messaging.clock), make_fact("2", messaging.clock))
    await messaging.record(make_fact("3", messaging.clock))
    assert (await messaging.relay.measure_backlog())[0] == 3
    assert await messaging.relay.drain() == 3
    assert sent_ids(messaging.bus) == ["1", "2", "3"]
    assert await messaging.relay.measure_backlog() == (0, 0.0)
    messaging.clock.advance(LEASE)
    assert await messaging.copy().send_unconfirmed() == 0


async def test_what_one_transaction_records_in_several_parts_is_all_sent(messaging: MessagingDriver) -> None:
    async with messaging.database.transaction() as connection:
        await messaging.outbox.record(connection, make_fact("1", messaging.clock))
        await messaging.outbox.record(connection, make_fact("2", messaging.clock))
    messaging.clock.advance(LEASE)
    copy = messaging.copy()
    while await copy.send_unconfirmed():
        pass
    assert sent_ids(messaging.bus) == ["1", "2"]
    assert await messaging.relay.measure_backlog() == (0, 0.0)


async def test_what_a_crash_left_behind_is_sent_after_two_seconds_by_any_other_process_once(
    messaging: MessagingDriver,
) -> None:
    await messaging.record(make_fact("1", messaging.clock), make_fact("2", messaging.clock))
    assert await messaging.copy().send_unconfirmed() == 0, "its own process may be about to send it"
    messaging.clock.advance(LEASE)
    assert await messaging.copy().send_unconfirmed() == 1
    (message,) = messaging.bus.sent
    assert [event.id for event in decode_batch(message.body)] == ["1", "2"]
    assert await messaging.copy().send_unconfirmed() == 0


async def test_while_the_broker_is_away_events_wait_and_then_go_in_their_order(
    messaging: MessagingDriver,
) -> None:
    messaging.bus.away = True
    await messaging.record(make_fact("1", messaging.clock))
    with pytest.raises(BusDown):
        await messaging.relay.send_committed()
    for id_ in ("2", "3"):
        await messaging.record(make_fact(id_, messaging.clock))
        assert await messaging.relay.send_committed() == 0, "what came before goes first"
    messaging.clock.advance(LEASE)
    with pytest.raises(BusDown):
        await messaging.relay.send_unconfirmed()
    assert (await messaging.relay.measure_backlog())[0] == 3
    messaging.bus.away = False
    messaging.clock.advance(timedelta(seconds=10))
    assert await messaging.relay.send_unconfirmed() == 3
    assert sorted(sent_ids(messaging.bus)) == ["1", "2", "3"]
    assert await messaging.relay.send_unconfirmed() == 0
    await messaging.record(make_fact("4", messaging.clock))
    assert await messaging.relay.send_committed() == 1
    assert sent_ids(messaging.bus)[-1] == "4"


async def test_more_than_memory_holds_is_read_again_and_nothing_is_lost(
    messaging: MessagingDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.messaging.outbox._MAX_WAITING", 5)
    for number in range(20):
        await messaging.record(make_fact(f"{number}", messaging.clock))
    assert len(messaging.outbox.waiting) == 5
    assert await messaging.relay.send_committed() == 5
    messaging.clock.advance(LEASE)
    while await messaging.relay.send_unconfirmed():
        pass
    assert sent_ids(messaging.bus) == [f"{number}" for number in range(20)]
    assert await messaging.relay.measure_backlog() == (0, 0.0)


async def test_what_is_large_fills_memory_sooner(
    messaging: MessagingDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.messaging.outbox._MAX_WAITING_BYTES", 100_000)
    for _ in range(5):
        await messaging.record(make_demand_event(messaging, 30_000))
    assert len(messaging.outbox.waiting) == 3
    assert await messaging.relay.send_committed() == 3
    await messaging.record(make_demand_event(messaging, 30_000))
    messaging.clock.advance(LEASE)
    assert await messaging.relay.drain() == 3
    assert len(set(sent_ids(messaging.bus))) == len(sent_ids(messaging.bus)) == 6


async def test_a_process_that_is_too_slow_does_not_send_what_any_copy_may_be_sending(
    messaging: MessagingDriver,
) -> None:
    await messaging.record(make_fact("1", messaging.clock))
    messaging.clock.advance(LEASE)
    assert await messaging.copy().send_unconfirmed() == 1
    await messaging.record(make_fact("2", messaging.clock))
    assert await messaging.relay.drain() == 1, "2 has a lease, 1 has none any more"
    messaging.clock.advance(LEASE)
    assert await messaging.relay.send_unconfirmed() == 0
    assert sent_ids(messaging.bus) == ["1", "2"]


class CountingBus(RecordingBus):
    """A bus that notes how many events each call published."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    async def publish(self, messages: Sequence[Message]) -> Sequence[int]:
        self.sizes.append(sum(len(decode_batch(message.body)) for message in messages))
        return await super().publish(messages)


async def test_what_is_read_again_is_published_a_batch_at_a_time(messaging: MessagingDriver) -> None:
    for start in range(0, 2000, 200):
        facts = (make_fact(f"{number}", messaging.clock) for number in range(start, start + 200))
        await messaging.record(*facts)
    messaging.clock.advance(LEASE)
    bus = CountingBus()
    outbox = Outbox(messaging.database, TABLES, messaging.clock)
    relay = Relay(messaging.database, outbox, bus, messaging.clock)
    assert await relay.send_unconfirmed() == 10
    assert bus.sizes == [400] * 5
    assert sorted(sent_ids(bus), key=int) == [f"{number}" for number in range(2000)]


def sent_ids(bus: RecordingBus) -> list[str]:
    return [event.id for message in bus.sent for event in decode_batch(message.body)]


async def test_what_the_broker_refuses_backs_off_ever_longer_and_is_sent_in_the_end(
    messaging: MessagingDriver,
) -> None:
    messaging.bus.refuses = b"poison"
    await messaging.record(Event.of(case("poison"), source="dispatch", time=messaging.clock.now()))
    await messaging.record(make_fact("1", messaging.clock))
    await messaging.relay.drain()
    assert sent_ids(messaging.bus) == ["1"], "others are not held up"
    waits = []
    for _ in range(3):
        waited = timedelta()
        while not await messaging.relay.send_unconfirmed():
            messaging.clock.advance(timedelta(seconds=1))
            waited += timedelta(seconds=1)
        waits.append(waited.total_seconds())
    assert waits == [10, 20, 40]
    assert (await messaging.relay.measure_backlog()) == (1, 70.0)
    messaging.bus.refuses = b"never"
    messaging.clock.advance(timedelta(minutes=11))
    assert await messaging.relay.send_unconfirmed() == 1
    assert await messaging.relay.measure_backlog() == (0, 0.0)


class StrictBus(RecordingBus):
    """A bus that takes nothing of what comes together with `refuses`, as a channel that is closed over it."""

    async def publish(self, messages: Sequence[Message]) -> Sequence[int]:
        if any(self.refuses in message.body for message in messages):
            raise BusDown
        return await super().publish(messages)


async def test_what_fails_together_is_tried_apart(messaging: MessagingDriver) -> None:
    bus = StrictBus(refuses=b"poison")
    relay = Relay(messaging.database, messaging.outbox, bus, messaging.clock)
    for id_, payment in (("1", "p"), ("2", "poison"), ("3", "p")):
        await messaging.record(make_fact(id_, messaging.clock, payment))
    with pytest.raises(BusDown):
        await relay.drain()
    for _ in range(4):
        messaging.clock.advance(timedelta(seconds=11))
        with contextlib.suppress(BusDown):
            await relay.send_unconfirmed()
    assert set(sent_ids(bus)) == {"1", "3"}
    assert (await relay.measure_backlog())[0] == 1


async def test_a_clock_that_is_set_back_holds_nothing_up(messaging: MessagingDriver) -> None:
    await messaging.record(make_fact("1", messaging.clock))
    messaging.clock.advance(timedelta(hours=-2))
    assert await messaging.copy().send_unconfirmed() == 1
    assert await messaging.relay.measure_backlog() == (0, 0.0)


async def test_what_is_written_while_a_copy_looks_for_what_is_left_is_not_taken_for_left(
    messaging: MessagingDriver,
) -> None:
    await messaging.record(make_fact("1", messaging.clock))
    messaging.clock.advance(timedelta(milliseconds=-5))  # as the copy began to look, before this was written
    assert await messaging.copy().send_unconfirmed() == 0
    assert await messaging.relay.send_committed() == 1


async def test_what_was_sent_long_ago_is_removed_and_what_was_not_stays(messaging: MessagingDriver) -> None:
    await messaging.record(*(make_fact(f"{number}", messaging.clock) for number in range(2100)))
    assert await messaging.relay.drain() == 2100
    await messaging.record(make_fact("unsent", messaging.clock))
    messaging.clock.advance(timedelta(minutes=119))
    assert await messaging.relay.delete_sent() == 0
    messaging.clock.advance(timedelta(minutes=2))
    assert [await messaging.relay.delete_sent() for _ in range(3)] == [2000, 100, 0]
    assert len(await messaging.rows(TABLES.outbox)) == 1


async def test_copies_send_side_by_side_and_none_twice(messaging: MessagingDriver) -> None:
    for number in range(100):
        await messaging.record(make_fact(f"{number}", messaging.clock))
    messaging.clock.advance(LEASE)
    copies = [messaging.copy() for _ in range(3)]
    sent = [0, 0, 0]
    while any(round := await asyncio.gather(*(copy.send_unconfirmed() for copy in copies))):
        sent = [total + count for total, count in zip(sent, round, strict=True)]
    assert sum(sent) == 100
    assert sorted(sent_ids(messaging.bus)) == sorted(f"{number}" for number in range(100))
    if messaging.database.is_postgres:
        assert min(sent) > 0


class SlowBus(RecordingBus):
    """A bus that confirms only when `confirms` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.published, self.confirms = asyncio.Event(), asyncio.Event()

    async def publish(self, messages: Sequence[Message]) -> Sequence[int]:
        self.published.set()
        await self.confirms.wait()
        return await super().publish(messages)


async def test_while_a_copy_waits_for_the_broker_no_transaction_of_its_own_is_open(
    messaging: MessagingDriver,
) -> None:
    await messaging.record(make_fact("1", messaging.clock))
    messaging.clock.advance(LEASE)
    slow = SlowBus()
    waiting = Relay(
        messaging.database, Outbox(messaging.database, TABLES, messaging.clock), slow, messaging.clock
    )
    sending = asyncio.create_task(waiting.send_unconfirmed())
    await slow.published.wait()
    if messaging.database.is_postgres:
        async with messaging.database.autocommit() as connection:
            assert (await connection.execute(OPEN_WRITES)).scalar_one() == 0
    assert await messaging.copy().send_unconfirmed() == 0, "it is claimed"
    slow.confirms.set()
    assert await sending == 1
    assert await messaging.copy().send_unconfirmed() == 0


async def test_a_running_relay_sends_what_is_committed_here_and_what_others_left(
    messaging: MessagingDriver,
) -> None:
    other = Outbox(messaging.database, TABLES, messaging.clock)
    async with messaging.database.transaction() as connection:
        await other.record(connection, make_fact("left", messaging.clock))
    messaging.clock.advance(LEASE)
    running = asyncio.create_task(messaging.relay.run())
    await eventually(messaging.bus.number_sent, (1).__eq__, within=3)
    await messaging.record(make_fact("own", messaging.clock))
    await eventually(messaging.bus.number_sent, (2).__eq__, within=3)
    await eventually(messaging.relay.measure_backlog, (0, 0.0).__eq__, within=3)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert running.cancelled()
