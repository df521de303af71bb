"""What a bus promises, on SQLite, on PostgreSQL and on a real RabbitMQ alike."""

import asyncio
import time

import pytest

from shared.messaging.bus import Bus, BusDown
from tests.contract.conftest import (
    DEMANDS,
    BusInstallation,
    RecordingConsumer,
    is_connected,
    make_bodies,
    make_messages,
)
from tests.support.waiting import eventually

on_every_bus = pytest.mark.parametrize("installation", ["sqlite", "postgresql", "rabbitmq"], indirect=True)
on_shared_buses = pytest.mark.parametrize("installation", ["postgresql", "rabbitmq"], indirect=True)
KEYS = "guanjia.key.revoked.v1"


@on_every_bus
async def test_what_was_published_is_there_for_a_copy_that_starts_later(
    installation: BusInstallation,
) -> None:
    first, consumer = await installation.start(), RecordingConsumer()
    assert list(await first.publish(make_messages(b"one", b"two"))) == []
    await first.stop()
    await installation.start({DEMANDS: consumer})
    await consumer.wait_until_settled(2)
    assert sorted(consumer.settled) == [b"one", b"two"]


@on_every_bus
async def test_every_queue_of_a_type_gets_its_own_copy(installation: BusInstallation) -> None:
    consumers, stranger = (
        {f"{service}.keys": RecordingConsumer() for service in ("dispatch", "survey", "kpi")},
        RecordingConsumer(),
    )
    bus = await installation.start({**consumers, DEMANDS: stranger})
    await bus.publish(make_messages(b"gone", key=KEYS))
    for consumer in consumers.values():
        await consumer.wait_until_settled(1)
    assert stranger.batches == []


@on_every_bus
async def test_what_waits_is_taken_in_sets(installation: BusInstallation) -> None:
    bus, consumer = await installation.start(), RecordingConsumer()
    await bus.publish(make_messages(*make_bodies(60)))
    await installation.start({DEMANDS: consumer})
    await consumer.wait_until_settled(60)
    assert sorted(consumer.settled) == sorted(make_bodies(60))
    assert len(consumer.batches) <= 30


@on_every_bus
async def test_a_consumer_that_raises_gets_the_same_again(installation: BusInstallation) -> None:
    consumer = RecordingConsumer(failures=1)
    bus = await installation.start({DEMANDS: consumer})
    await bus.publish(make_messages(b"one"))
    await consumer.wait_until_settled(1)
    assert [delivery.body for delivery in consumer.deliveries] == [b"one", b"one"]


@on_every_bus
async def test_a_retry_comes_after_its_delay_and_counts_its_attempts(installation: BusInstallation) -> None:
    consumer = RecordingConsumer()
    bus = await installation.start({DEMANDS: consumer})
    await bus.publish(make_messages(b"one"))
    await consumer.wait_until_settled(1)
    for attempt in (1, 2):
        retried_at = time.monotonic()
        await bus.retry(consumer.deliveries[-1], b"again", 1)
        await consumer.wait_until_settled(attempt + 1)
        assert time.monotonic() - retried_at >= 0.9
        assert (consumer.deliveries[-1].body, consumer.deliveries[-1].attempt) == (b"again", attempt)


@on_every_bus
async def test_a_retry_does_not_hold_up_what_comes_after_it(installation: BusInstallation) -> None:
    consumer = RecordingConsumer()
    bus = await installation.start({DEMANDS: consumer})
    await bus.publish(make_messages(b"one"))
    await consumer.wait_until_settled(1)
    await bus.retry(consumer.deliveries[0], b"later", 5)
    await bus.publish(make_messages(b"two"))
    await consumer.wait_until_settled(2, within=4)
    assert consumer.settled == [b"one", b"two"]


@on_every_bus
async def test_a_queue_whose_consumer_fails_does_not_hold_up_another(installation: BusInstallation) -> None:
    failing, working = RecordingConsumer(failures=20), RecordingConsumer()
    bus = await installation.start({"survey.keys": failing, "kpi.keys": working})
    await bus.publish(make_messages(b"poison", key=KEYS))
    await eventually(failing.count_batches)
    for number, body in enumerate(make_bodies(5), start=2):
        await bus.publish(make_messages(body, key=KEYS))
        await working.wait_until_settled(number, within=2)


@on_shared_buses
async def test_two_copies_share_the_work_and_do_none_of_it_twice(installation: BusInstallation) -> None:
    first, second = RecordingConsumer(blocked=True), RecordingConsumer(blocked=True)
    publisher = await installation.start()
    await publisher.publish(make_messages(*make_bodies(600)))
    for consumer in (first, second):
        await installation.start({DEMANDS: consumer})
        await eventually(consumer.count_batches)
    first.released.set()
    second.released.set()
    await wait_until_settled_together(600, first, second)
    assert sorted(first.settled + second.settled) == sorted(make_bodies(600))


@on_every_bus
async def test_a_pause_finishes_what_is_in_hand_and_takes_nothing_new(installation: BusInstallation) -> None:
    consumer, next_consumer = RecordingConsumer(blocked=True), RecordingConsumer()
    bus = await installation.start({DEMANDS: consumer})
    await bus.publish(make_messages(b"in hand"))
    await eventually(consumer.count_batches)
    pausing = asyncio.create_task(bus.pause())
    await asyncio.sleep(0.1)  # the pause has begun
    await bus.publish(make_messages(*make_bodies(5)))
    consumer.released.set()
    await asyncio.wait_for(pausing, 5)
    assert consumer.settled == [b"in hand"]
    await bus.stop()
    await installation.start({DEMANDS: next_consumer})
    await next_consumer.wait_until_settled(5)
    assert sorted(next_consumer.settled) == make_bodies(5)


@on_every_bus
async def test_a_copy_that_ends_in_the_middle_leaves_the_rest_to_the_next(
    installation: BusInstallation,
) -> None:
    consumer, next_consumer = RecordingConsumer(), RecordingConsumer()
    first = await installation.start()
    await first.publish(make_messages(*make_bodies(1000)))
    second = installation.bus()
    await second.start({DEMANDS: consumer})
    await eventually(consumer.count_batches, within=30)
    await second.stop()
    await installation.start({DEMANDS: next_consumer})
    await wait_until_settled_together(1000, consumer, next_consumer)
    assert len(next_consumer.settled) == len(set(next_consumer.settled)) > 0


@on_shared_buses
async def test_a_copy_that_dies_with_work_in_hand_leaves_it_to_the_next(
    installation: BusInstallation,
) -> None:
    async with installation.open_behind_proxy() as (proxied, proxy):
        dying, successor = RecordingConsumer(blocked=True), RecordingConsumer()
        bus = await proxied.start({DEMANDS: dying})
        await bus.publish(make_messages(b"one"))
        await eventually(dying.count_batches)
        await proxy.refuse()
        await installation.start({DEMANDS: successor})
        await successor.wait_until_settled(1)
        dying.released.set()
    assert successor.settled == [b"one"]


@pytest.mark.parametrize("installation", ["postgresql"], indirect=True)
async def test_a_copy_stops_although_its_database_is_gone_with_work_in_hand(
    installation: BusInstallation,
) -> None:
    async with installation.open_behind_proxy() as (proxied, proxy):
        consumer = RecordingConsumer(blocked=True)
        bus = await proxied.start({DEMANDS: consumer})
        await bus.publish(make_messages(b"one"))
        await eventually(consumer.count_batches)
        await proxy.refuse()
        await asyncio.wait_for(bus.stop(), 5)


@on_shared_buses
async def test_while_the_broker_is_away_publishing_fails_and_works_when_it_returns(
    installation: BusInstallation,
) -> None:
    async with installation.open_behind_proxy() as (proxied, proxy):
        consumer = RecordingConsumer()
        bus = await proxied.start({DEMANDS: consumer})
        await proxy.refuse()
        for attempt in (bus.publish(make_messages(b"away")), bus.ping()):
            with pytest.raises(BusDown):
                await asyncio.wait_for(attempt, 10)
        await proxy.listen()
        await eventually(lambda: is_published(bus, b"after"), within=20)
        await eventually(lambda: has_arrived(consumer, b"after"))
        await bus.ping()


@pytest.mark.parametrize("installation", ["rabbitmq"], indirect=True)
async def test_a_bus_that_starts_before_its_broker_goes_on_by_itself(installation: BusInstallation) -> None:
    async with installation.open_behind_proxy() as (proxied, proxy):
        await proxy.refuse()
        bus, consumer = proxied.bus(), RecordingConsumer()
        await bus.start({DEMANDS: consumer})
        with pytest.raises(BusDown):
            await bus.publish(make_messages(b"too early"))
        await proxy.listen()
        await eventually(lambda: is_published(bus, b"one"), within=30)
        await eventually(lambda: has_arrived(consumer, b"one"))


@on_shared_buses
async def test_a_ping_on_a_stalled_link_ends(
    installation: BusInstallation, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with installation.open_behind_proxy() as (proxied, proxy):
        bus = await proxied.start()
        monkeypatch.setattr("shared.messaging.rabbitmq._CALL_SECONDS", 1)
        monkeypatch.setattr("shared.database.engine.CONNECT_SECONDS", 1)
        proxy.stall()
        with pytest.raises(BusDown):
            await asyncio.wait_for(bus.ping(), 4)
        proxy.resume_flow()
        await eventually(lambda: is_connected(bus), within=20)


async def wait_until_settled_together(count: int, *consumers: RecordingConsumer) -> None:
    """Wait until so many different ones were settled."""

    async def number() -> int:
        return len({body for consumer in consumers for body in consumer.settled})

    await eventually(number, lambda settled_count: settled_count == count, within=20)


async def is_published(bus: Bus, body: bytes) -> bool:
    return not await bus.publish(make_messages(body))


async def has_arrived(consumer: RecordingConsumer, body: bytes) -> bool:
    return body in consumer.settled
