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
from tests.integration.shared.conftest import TABLES, Bench, Wire, fact
from tests.support.waiting import eventually

WRITING = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_xid IS NOT NULL"
)
"""How many transactions have written and are open."""


async def test_what_was_not_committed_is_never_sent(bench: Bench) -> None:
    with pytest.raises(RuntimeError):
        async with bench.database.transaction() as connection:
            await bench.outbox.record(connection, fact("1", bench.clock))
            raise RuntimeError
    assert await bench.relay.send_batch() == 0
    assert bench.wire.sent == []


async def test_rows_that_a_crash_left_behind_are_sent_by_the_next_process_once(bench: Bench) -> None:
    await bench.record(fact("1", bench.clock), fact("2", bench.clock))
    assert await bench.copy().send_batch() == 2
    (message,) = bench.wire.sent
    assert [event.id for event in decode_batch(message.body)] == ["1", "2"]
    assert await bench.relay.send_batch() == 0


async def test_while_the_broker_is_away_rows_wait_and_then_go(bench: Bench) -> None:
    await bench.record(fact("1", bench.clock))
    bench.wire.away = True
    for _ in range(3):
        with pytest.raises(BusDown):
            await bench.relay.send_batch()
    assert (await bench.relay.backlog())[0] == 1
    bench.wire.away = False
    assert await bench.relay.send_batch() == 1
    assert await bench.relay.backlog() == (0, 0.0)


async def test_events_for_ourselves_are_packed_by_type_a_hundred_at_most(bench: Bench) -> None:
    revoked = [fact(f"{number}", bench.clock) for number in range(250)]
    await bench.record(*revoked)
    assert await bench.relay.send_batch() == 250
    assert [len(decode_batch(message.body)) for message in bench.wire.sent] == [100, 100, 50]
    assert all(message.packed and not message.public for message in bench.wire.sent)
    assert [event for message in bench.wire.sent for event in decode_batch(message.body)] == revoked


async def test_a_packed_message_stays_below_a_quarter_of_a_megabyte(bench: Bench) -> None:
    await bench.record(*(accepted(bench, 30_000) for _ in range(20)), accepted(bench, 400_000))
    await bench.relay.send_batch()
    sizes = [len(message.body) for message in bench.wire.sent]
    assert len(sizes) == 4
    assert sorted(sizes)[-2] <= 256 * 1024
    assert sum(len(decode_batch(message.body)) for message in bench.wire.sent) == 21


def accepted(bench: Bench, size: int) -> Event:
    data = msgspec.structs.replace(demand(new_id()), description="x" * size)
    return Event.of(data, source="intake", time=bench.clock.now())


async def test_events_for_others_go_one_by_one_beside_our_own_packs(bench: Bench) -> None:
    cases = [Event.of(case(f"c{number}"), source="dispatch", time=bench.clock.now()) for number in range(3)]
    await bench.record(*cases, fact("1", bench.clock))
    await bench.relay.send_batch()
    public = [message for message in bench.wire.sent if message.public]
    own = [message for message in bench.wire.sent if not message.public]
    assert [msgspec.json.decode(message.body)["data"]["case"] for message in public] == ["c0", "c1", "c2"]
    assert not any(message.packed for message in public)
    assert sorted(len(decode_batch(message.body)) for message in own) == [1, 3]
    assert {message.key for message in public} == {"guanjia.case.changed.v1"}
    assert isinstance(decode_batch(own[0].body)[0].data, CaseChanged)


async def test_what_the_broker_refuses_backs_off_alone_and_is_tried_again(bench: Bench) -> None:
    bench.wire.refuses = b"poison"
    poison = Event.of(case("poison"), source="dispatch", time=bench.clock.now())
    await bench.record(poison, fact("1", bench.clock))
    await bench.relay.send_batch()
    assert [decode_batch(message.body)[0].id for message in bench.wire.sent] == ["1"]
    assert await bench.relay.send_batch() == 0, "not again at once"
    await bench.record(fact("2", bench.clock))
    assert await bench.relay.send_batch() == 1, "others are not held up"
    bench.clock.advance(timedelta(seconds=11))
    assert (await bench.relay.backlog()) == (1, 11.0)
    bench.wire.refuses = b"never"
    assert await bench.relay.send_batch() == 1
    assert sum(row.attempts for row in await bench.rows(TABLES.outbox)) == 1


async def test_a_clock_that_is_set_back_holds_nothing_up(bench: Bench) -> None:
    await bench.record(fact("1", bench.clock))
    bench.clock.advance(timedelta(hours=-2))
    assert await bench.relay.send_batch() == 1
    assert await bench.relay.backlog() == (0, 0.0)


async def test_what_was_sent_long_ago_is_removed_and_what_was_not_stays(bench: Bench) -> None:
    await bench.record(*(fact(f"{number}", bench.clock) for number in range(2100)))
    while await bench.relay.send_batch():
        pass
    await bench.record(fact("unsent", bench.clock))
    bench.clock.advance(timedelta(minutes=119))
    assert await bench.relay.clean() == 0
    bench.clock.advance(timedelta(minutes=2))
    assert [await bench.relay.clean() for _ in range(3)] == [2000, 100, 0]
    assert len(await bench.rows(TABLES.outbox)) == 1


async def test_two_relays_at_once_leave_nothing_unsent(bench: Bench) -> None:
    await bench.record(*(fact(f"{number}", bench.clock) for number in range(1200)))
    relays = [bench.relay, bench.copy()]
    while any(await asyncio.gather(*(relay.send_batch() for relay in relays))):
        pass
    ids = [event.id for message in bench.wire.sent for event in decode_batch(message.body)]
    assert {*ids} == {f"{number}" for number in range(1200)}
    if bench.database.is_postgres:
        assert len(ids) == 1200


class Slow(Wire):
    """A bus that keeps whoever publishes waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.confirms = asyncio.Event(), asyncio.Event()

    async def publish(self, messages: Sequence[Message]) -> Sequence[int]:
        self.asked.set()
        await self.confirms.wait()
        return await super().publish(messages)


async def test_while_one_copy_waits_for_the_broker_no_other_sends_and_nothing_written_is_open(
    bench: Bench,
) -> None:
    await bench.record(fact("1", bench.clock))
    slow = Slow()
    sending = asyncio.create_task(Relay(bench.database, bench.outbox, slow, bench.clock).send_batch())
    await slow.asked.wait()
    if bench.database.is_postgres:
        assert await bench.copy().send_batch() is None
        async with bench.database.autocommit() as connection:
            assert (await connection.execute(WRITING)).scalar_one() == 0
    slow.confirms.set()
    assert await sending == 1
    assert await bench.copy().send_batch() == 0


async def test_a_running_relay_sends_what_it_is_woken_for_and_what_nobody_told_it_of(bench: Bench) -> None:
    running = asyncio.create_task(bench.relay.run())
    for number in range(2):
        await bench.record(fact(f"{number}", bench.clock))
        if number == 0:
            bench.relay.wake()
        await eventually(bench.wire.number_sent, (number + 1).__eq__, within=3)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert running.cancelled()
