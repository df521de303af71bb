"""What a bus promises, on SQLite, on PostgreSQL and on a real RabbitMQ alike."""

import asyncio
import time

import pytest

from shared.messaging.bus import Bus, BusDown
from tests.contract.conftest import (
    DEMANDS,
    BusBackend,
    RecordingConsumer,
    answers_ping,
    make_messages,
    numbered_bodies,
)
from tests.support.waiting import eventually

everywhere = pytest.mark.parametrize("backend", ["sqlite", "postgresql", "rabbitmq"], indirect=True)
shared_by_copies = pytest.mark.parametrize("backend", ["postgresql", "rabbitmq"], indirect=True)
KEYS = "guanjia.key.revoked.v1"


@everywhere
async def test_what_was_published_is_there_for_a_copy_that_starts_later(backend: BusBackend) -> None:
    first, consumer = await backend.start_bus(), RecordingConsumer()
    assert list(await first.publish(make_messages(b"one", b"two"))) == []
    await first.stop()
    await backend.start_bus({DEMANDS: consumer})
    await consumer.wait_until_settled(2)
    assert sorted(consumer.settled) == [b"one", b"two"]


@everywhere
async def test_every_queue_of_a_type_gets_its_own_copy(backend: BusBackend) -> None:
    consumers, stranger = (
        {f"{service}.keys": RecordingConsumer() for service in ("dispatch", "survey", "kpi")},
        RecordingConsumer(),
    )
    bus = await backend.start_bus({**consumers, DEMANDS: stranger})
    await bus.publish(make_messages(b"gone", key=KEYS))
    for consumer in consumers.values():
        await consumer.wait_until_settled(1)
    assert stranger.batches == []


@everywhere
async def test_what_waits_is_delivered_in_batches(backend: BusBackend) -> None:
    bus, consumer = await backend.start_bus(), RecordingConsumer()
    await bus.publish(make_messages(*numbered_bodies(60)))
    await backend.start_bus({DEMANDS: consumer})
    await consumer.wait_until_settled(60)
    assert sorted(consumer.settled) == sorted(numbered_bodies(60))
    assert len(consumer.batches) <= 30


@everywhere
async def test_a_consumer_that_raises_gets_the_same_again(backend: BusBackend) -> None:
    consumer = RecordingConsumer(failures=1)
    bus = await backend.start_bus({DEMANDS: consumer})
    await bus.publish(make_messages(b"one"))
    await consumer.wait_until_settled(1)
    assert [delivery.body for delivery in consumer.deliveries] == [b"one", b"one"]


@everywhere
async def test_a_retry_comes_after_its_delay_and_counts_its_attempts(backend: BusBackend) -> None:
    consumer = RecordingConsumer()
    bus = await backend.start_bus({DEMANDS: consumer})
    await bus.publish(make_messages(b"one"))
    await consumer.wait_until_settled(1)
    for attempt in (1, 2):
        before = time.monotonic()
        await bus.retry(consumer.deliveries[-1], b"again", 1)
        await consumer.wait_until_settled(attempt + 1)
        assert time.monotonic() - before >= 0.9
        assert (consumer.deliveries[-1].body, consumer.deliveries[-1].attempt) == (b"again", attempt)


@everywhere
async def test_a_retry_does_not_hold_up_what_comes_after_it(backend: BusBackend) -> None:
    consumer = RecordingConsumer()
    bus = await backend.start_bus({DEMANDS: consumer})
    await bus.publish(make_messages(b"one"))
    await consumer.wait_until_settled(1)
    await bus.retry(consumer.deliveries[0], b"later", 5)
    await bus.publish(make_messages(b"two"))
    await consumer.wait_until_settled(2, within=4)
    assert consumer.settled == [b"one", b"two"]


@everywhere
async def test_a_queue_whose_consumer_fails_does_not_hold_up_another(backend: BusBackend) -> None:
    failing, well = RecordingConsumer(failures=20), RecordingConsumer()
    bus = await backend.start_bus({"survey.keys": failing, "kpi.keys": well})
    await bus.publish(make_messages(b"poison", key=KEYS))
    await eventually(failing.count_batches)
    for number, body in enumerate(numbered_bodies(5), start=2):
        await bus.publish(make_messages(body, key=KEYS))
        await well.wait_until_settled(number, within=2)


@shared_by_copies
async def test_two_copies_share_the_work_and_do_none_of_it_twice(backend: BusBackend) -> None:
    one, two = RecordingConsumer(blocked=True), RecordingConsumer(blocked=True)
    publisher = await backend.start_bus()
    await publisher.publish(make_messages(*numbered_bodies(600)))
    for consumer in (one, two):
        await backend.start_bus({DEMANDS: consumer})
        await eventually(consumer.count_batches)
    one.released.set()
    two.released.set()
    await wait_until_all_settled(600, one, two)
    assert sorted(one.settled + two.settled) == sorted(numbered_bodies(600))


@everywhere
async def test_a_pause_finishes_what_is_in_hand_and_consumes_nothing_new(backend: BusBackend) -> None:
    consumer, later = RecordingConsumer(blocked=True), RecordingConsumer()
    bus = await backend.start_bus({DEMANDS: consumer})
    await bus.publish(make_messages(b"in hand"))
    await eventually(consumer.count_batches)
    pausing = asyncio.create_task(bus.pause())
    await asyncio.sleep(0.1)  # the pause has begun
    await bus.publish(make_messages(*numbered_bodies(5)))
    consumer.released.set()
    await asyncio.wait_for(pausing, 5)
    assert consumer.settled == [b"in hand"]
    await bus.stop()
    await backend.start_bus({DEMANDS: later})
    await later.wait_until_settled(5)
    assert sorted(later.settled) == numbered_bodies(5)


@everywhere
async def test_a_copy_that_ends_in_the_middle_leaves_the_rest_to_the_next(backend: BusBackend) -> None:
    consumer, rest = RecordingConsumer(), RecordingConsumer()
    first = await backend.start_bus()
    await first.publish(make_messages(*numbered_bodies(1000)))
    second = backend.bus()
    await second.start({DEMANDS: consumer})
    await eventually(consumer.count_batches, within=30)
    await second.stop()
    await backend.start_bus({DEMANDS: rest})
    await wait_until_all_settled(1000, consumer, rest)
    assert len(rest.settled) == len(set(rest.settled)) > 0


@shared_by_copies
async def test_a_copy_that_dies_with_work_in_hand_leaves_it_to_the_next(backend: BusBackend) -> None:
    async with backend.behind_proxy() as (proxied, proxy):
        dying, heir = RecordingConsumer(blocked=True), RecordingConsumer()
        bus = await proxied.start_bus({DEMANDS: dying})
        await bus.publish(make_messages(b"one"))
        await eventually(dying.count_batches)
        await proxy.refuse()
        await backend.start_bus({DEMANDS: heir})
        await heir.wait_until_settled(1)
        dying.released.set()
    assert heir.settled == [b"one"]


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_a_copy_stops_although_its_database_is_gone_with_work_in_hand(backend: BusBackend) -> None:
    async with backend.behind_proxy() as (proxied, proxy):
        consumer = RecordingConsumer(blocked=True)
        bus = await proxied.start_bus({DEMANDS: consumer})
        await bus.publish(make_messages(b"one"))
        await eventually(consumer.count_batches)
        await proxy.refuse()
        await asyncio.wait_for(bus.stop(), 5)


@shared_by_copies
async def test_while_the_broker_is_away_publishing_fails_and_works_when_it_returns(
    backend: BusBackend,
) -> None:
    async with backend.behind_proxy() as (proxied, proxy):
        consumer = RecordingConsumer()
        bus = await proxied.start_bus({DEMANDS: consumer})
        await proxy.refuse()
        for attempt in (bus.publish(make_messages(b"away")), bus.ping()):
            with pytest.raises(BusDown):
                await asyncio.wait_for(attempt, 10)
        await proxy.listen()
        await eventually(lambda: is_published(bus, b"after"), within=20)
        await eventually(lambda: has_arrived(consumer, b"after"))
        await bus.ping()


@pytest.mark.parametrize("backend", ["rabbitmq"], indirect=True)
async def test_a_bus_that_starts_before_its_broker_goes_on_by_itself(backend: BusBackend) -> None:
    async with backend.behind_proxy() as (proxied, proxy):
        await proxy.refuse()
        bus, consumer = proxied.bus(), RecordingConsumer()
        await bus.start({DEMANDS: consumer})
        with pytest.raises(BusDown):
            await bus.publish(make_messages(b"too early"))
        await proxy.listen()
        await eventually(lambda: is_published(bus, b"one"), within=30)
        await eventually(lambda: has_arrived(consumer, b"one"))


@shared_by_copies
async def test_a_ping_on_a_stalled_link_ends(backend: BusBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    async with backend.behind_proxy() as (proxied, proxy):
        bus = await proxied.start_bus()
        monkeypatch.setattr("shared.messaging.rabbitmq._CALL_SECONDS", 1)
        monkeypatch.setattr("shared.database.engine.CONNECT_SECONDS", 1)
        proxy.stall()
        with pytest.raises(BusDown):
            await asyncio.wait_for(bus.ping(), 4)
        proxy.resume_flow()
        await eventually(lambda: answers_ping(bus), within=20)


async def wait_until_all_settled(count: int, *consumers: RecordingConsumer) -> None:
    """Wait until so many different ones were settled."""

    async def number() -> int:
        return len({body for consumer in consumers for body in consumer.settled})

    await eventually(number, lambda seen: seen == count, within=20)


async def is_published(bus: Bus, body: bytes) -> bool:
    return not await bus.publish(make_messages(body))


async def has_arrived(consumer: RecordingConsumer, body: bytes) -> bool:
    return body in consumer.settled
