"""Only what was committed is sent, all of it, packed within limits; refusals back off and nothing is lost."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import msgspec
import pytest
from sqlalchemy import text

from shared.ids import new_id
from shared.messages.cloudevents import Event, decode_batch
from shared.messages.events import CaseChanged
from shared.messaging.bus import BusDown, Message
from shared.messaging.relay import Relay
from tests.contract.samples import case, demand
from tests.integration.shared.conftest import TABLES, MessagingDriver, RecordingBus, make_fact
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
    assert await messaging.relay.send_batch() == 0
    assert messaging.bus.sent == []


async def test_rows_that_a_crash_left_behind_are_sent_by_the_next_process_once(
    messaging: MessagingDriver,
) -> None:
    await messaging.record(make_fact("1", messaging.clock), make_fact("2", messaging.clock))
    assert await messaging.copy().send_batch() == 2
    (message,) = messaging.bus.sent
    assert [event.id for event in decode_batch(message.body)] == ["1", "2"]
    assert await messaging.relay.send_batch() == 0


async def test_while_the_broker_is_away_rows_wait_and_then_go(messaging: MessagingDriver) -> None:
    await messaging.record(make_fact("1", messaging.clock))
    messaging.bus.away = True
    for _ in range(3):
        with pytest.raises(BusDown):
            await messaging.relay.send_batch()
    assert (await messaging.relay.measure_backlog())[0] == 1
    messaging.bus.away = False
    assert await messaging.relay.send_batch() == 1
    assert await messaging.relay.measure_backlog() == (0, 0.0)


async def test_events_for_ourselves_are_packed_by_type_a_hundred_at_most(messaging: MessagingDriver) -> None:
    revoked = [make_fact(f"{number}", messaging.clock) for number in range(250)]
    await messaging.record(*revoked)
    assert await messaging.relay.send_batch() == 250
    assert [len(decode_batch(message.body)) for message in messaging.bus.sent] == [100, 100, 50]
    assert all(message.packed and not message.public for message in messaging.bus.sent)
    assert [event for message in messaging.bus.sent for event in decode_batch(message.body)] == revoked


async def test_a_packed_message_stays_below_a_quarter_of_a_megabyte(messaging: MessagingDriver) -> None:
    await messaging.record(
        *(make_demand_event(messaging, 30_000) for _ in range(20)), make_demand_event(messaging, 400_000)
    )
    await messaging.relay.send_batch()
    sizes = [len(message.body) for message in messaging.bus.sent]
    assert len(sizes) == 4
    assert sorted(sizes)[-2] <= 256 * 1024
    assert sum(len(decode_batch(message.body)) for message in messaging.bus.sent) == 21


def make_demand_event(messaging: MessagingDriver, size: int) -> Event:
    data = msgspec.structs.replace(demand(new_id()), description="x" * size)
    return Event.of(data, source="intake", time=messaging.clock.now())


async def test_events_for_others_go_one_by_one_beside_our_own_packs(messaging: MessagingDriver) -> None:
    cases = [
        Event.of(case(f"c{number}"), source="dispatch", time=messaging.clock.now()) for number in range(3)
    ]
    await messaging.record(*cases, make_fact("1", messaging.clock))
    await messaging.relay.send_batch()
    public = [message for message in messaging.bus.sent if message.public]
    own = [message for message in messaging.bus.sent if not message.public]
    assert [msgspec.json.decode(message.body)["data"]["case"] for message in public] == ["c0", "c1", "c2"]
    assert not any(message.packed for message in public)
    assert sorted(len(decode_batch(message.body)) for message in own) == [1, 3]
    assert {message.key for message in public} == {"guanjia.case.changed.v1"}
    assert isinstance(decode_batch(own[0].body)[0].data, CaseChanged)


async def test_what_the_broker_refuses_backs_off_alone_and_is_sent_later(messaging: MessagingDriver) -> None:
    messaging.bus.refuses = b"poison"
    poison = Event.of(case("poison"), source="dispatch", time=messaging.clock.now())
    await messaging.record(poison, make_fact("1", messaging.clock))
    await messaging.relay.send_batch()
    assert [decode_batch(message.body)[0].id for message in messaging.bus.sent] == ["1"]
    assert await messaging.relay.send_batch() == 0, "not again at once"
    await messaging.record(make_fact("2", messaging.clock))
    assert await messaging.relay.send_batch() == 1, "others are not held up"
    messaging.clock.advance(timedelta(seconds=11))
    assert (await messaging.relay.measure_backlog()) == (1, 11.0)
    messaging.bus.refuses = b"never"
    assert await messaging.relay.send_batch() == 1
    assert sum(row.attempts for row in await messaging.rows(TABLES.outbox)) == 1


async def test_a_clock_that_is_set_back_holds_nothing_up(messaging: MessagingDriver) -> None:
    await messaging.record(make_fact("1", messaging.clock))
    messaging.clock.advance(timedelta(hours=-2))
    assert await messaging.relay.send_batch() == 1
    assert await messaging.relay.measure_backlog() == (0, 0.0)


async def test_what_was_sent_long_ago_is_removed_and_what_was_not_stays(messaging: MessagingDriver) -> None:
    await messaging.record(*(make_fact(f"{number}", messaging.clock) for number in range(2100)))
    while await messaging.relay.send_batch():
        pass
    await messaging.record(make_fact("unsent", messaging.clock))
    messaging.clock.advance(timedelta(minutes=119))
    assert await messaging.relay.delete_sent() == 0
    messaging.clock.advance(timedelta(minutes=2))
    assert [await messaging.relay.delete_sent() for _ in range(3)] == [2000, 100, 0]
    assert len(await messaging.rows(TABLES.outbox)) == 1


async def test_two_relays_at_once_leave_nothing_unsent(messaging: MessagingDriver) -> None:
    await messaging.record(*(make_fact(f"{number}", messaging.clock) for number in range(1200)))
    relays = [messaging.relay, messaging.copy()]
    while any(await asyncio.gather(*(relay.send_batch() for relay in relays))):
        pass
    ids = [event.id for message in messaging.bus.sent for event in decode_batch(message.body)]
    assert {*ids} == {f"{number}" for number in range(1200)}
    if messaging.database.is_postgres:
        assert len(ids) == 1200


class SlowBus(RecordingBus):
    """A bus that confirms only when `confirms` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.published, self.confirms = asyncio.Event(), asyncio.Event()

    async def publish(self, messages: Sequence[Message]) -> Sequence[int]:
        self.published.set()
        await self.confirms.wait()
        return await super().publish(messages)


async def test_while_one_copy_waits_for_the_broker_no_other_sends_and_nothing_written_is_open(
    messaging: MessagingDriver,
) -> None:
    await messaging.record(make_fact("1", messaging.clock))
    slow = SlowBus()
    sending = asyncio.create_task(
        Relay(messaging.database, messaging.outbox, slow, messaging.clock).send_batch()
    )
    await slow.published.wait()
    if messaging.database.is_postgres:
        assert await messaging.copy().send_batch() is None
        async with messaging.database.autocommit() as connection:
            assert (await connection.execute(OPEN_WRITES)).scalar_one() == 0
    slow.confirms.set()
    assert await sending == 1
    assert await messaging.copy().send_batch() == 0


async def test_a_running_relay_sends_what_it_is_woken_for_and_what_it_was_not_woken_for(
    messaging: MessagingDriver,
) -> None:
    running = asyncio.create_task(messaging.relay.run())
    for number in range(2):
        await messaging.record(make_fact(f"{number}", messaging.clock))
        if number == 0:
            messaging.relay.wakeup.set()
        await eventually(messaging.bus.number_sent, (number + 1).__eq__, within=3)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert running.cancelled()
