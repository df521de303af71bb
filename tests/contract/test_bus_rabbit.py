"""What only RabbitMQ can be asked: other systems at both ends, a killed broker, refusals, dead letters."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import aio_pika
import pytest

from shared.messaging.bus import Message
from shared.messaging.rabbitmq import ATTEMPT_HEADER
from tests.contract.conftest import (
    ACCEPTED,
    DEMANDS,
    BusBackend,
    RecordingConsumer,
    answers_ping,
    make_messages,
    numbered_bodies,
)
from tests.support.rabbitmq import RabbitMQ
from tests.support.waiting import eventually

pytestmark = pytest.mark.parametrize("backend", ["rabbitmq"], indirect=True)
OPENED = "guanjia.case.opened.v1"


@contextlib.asynccontextmanager
async def outsider(backend: BusBackend) -> AsyncIterator[aio_pika.abc.AbstractChannel]:
    """Another system's channel on the same broker."""
    connection = await aio_pika.connect(backend.url)
    async with connection, connection.channel() as channel:
        yield channel


async def test_others_get_one_structured_event_a_message(backend: BusBackend) -> None:
    bus = await backend.start_bus()
    async with outsider(backend) as channel:
        queue = await channel.declare_queue(exclusive=True)
        await queue.bind("guanjia.events", "guanjia.case.#")
        body = b'{"specversion":"1.0"}'
        await bus.publish([Message(key=OPENED, body=body, packed=False, public=True)])
        message = await queue.get(timeout=5)
        assert message and (message.body, message.routing_key) == (body, OPENED)
        assert message.content_type == "application/cloudevents+json"
        assert message.delivery_mode == aio_pika.DeliveryMode.PERSISTENT


async def test_an_event_for_others_that_nobody_is_bound_to_is_not_refused(backend: BusBackend) -> None:
    bus = await backend.start_bus()
    assert not await bus.publish([Message(key=OPENED, body=b"{}", packed=False, public=True)])


async def test_one_that_cannot_be_routed_is_refused_and_the_others_arrive(backend: BusBackend) -> None:
    consumer = RecordingConsumer()
    bus = await backend.start_bus({DEMANDS: consumer})
    lost = Message(key="guanjia.nobody.hears.v1", body=b"lost", packed=False)
    assert list(await bus.publish([*make_messages(b"one"), lost, *make_messages(b"two")])) == [1]
    assert list(await bus.publish([lost])) == [0]
    await consumer.wait_until_settled(2)


async def test_bodies_of_any_size_arrive_as_they_were_in_their_order(backend: BusBackend) -> None:
    """A frame holds 128 KB: what is larger comes in several."""
    consumer = RecordingConsumer()
    bus = await backend.start_bus({DEMANDS: consumer})
    bodies = [b"%d" % size + b"x" * size for size in (0, 1, 131_063, 131_064, 131_065, 400_000, 2_000_000)]
    assert not await bus.publish([*make_messages(*bodies)])
    await consumer.wait_until_settled(len(bodies))
    assert sorted(delivery.body for delivery in consumer.deliveries) == sorted(bodies)


async def test_publishers_at_once_get_each_their_own_confirms(backend: BusBackend) -> None:
    bus = await backend.start_bus()
    lost = Message(key="guanjia.nobody.hears.v1", body=b"lost", packed=False)
    batches = [[*make_messages(b"a", b"b")[: number % 3], lost, *make_messages(b"c")] for number in range(30)]
    refused = await asyncio.gather(*(bus.publish(batch) for batch in batches))
    assert [list(one) for one in refused] == [[number % 3] for number in range(30)]


async def test_a_publisher_that_gives_up_leaves_the_others_their_confirms(backend: BusBackend) -> None:
    bus = await backend.start_bus()
    tasks = [asyncio.create_task(bus.publish(make_messages(b"x" * 1000))) for _ in range(20)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [list(outcome) for outcome in outcomes[1::2] if not isinstance(outcome, BaseException)] == [
        []
    ] * 10
    assert not await bus.publish(make_messages(b"y"))


async def test_whatever_others_write_into_headers_their_event_is_consumed(backend: BusBackend) -> None:
    consumer = RecordingConsumer()
    await backend.start_bus({"intake.inbound": consumer})
    values: list[aio_pika.abc.FieldValue] = ["²", "9" * 5000, -1, "", "nul\x00", [1], {"a": 1}]
    async with outsider(backend) as channel:
        exchange = await channel.get_exchange("guanjia.inbound")
        for value in values:
            message = aio_pika.Message(b"{}", headers={ATTEMPT_HEADER: value, "x-name": value})
            await exchange.publish(message, "guanjia.fee.paid.v1")
    await consumer.wait_until_settled(len(values))
    assert {delivery.attempt for delivery in consumer.deliveries} == {0}
    assert all(set(delivery.headers) <= {"content-type"} for delivery in consumer.deliveries)


async def test_what_is_never_settled_ends_in_the_dead_queue(backend: BusBackend) -> None:
    consumer, dead = RecordingConsumer(failures=10_000), RecordingConsumer()
    bus = await backend.start_bus({DEMANDS: consumer, f"{DEMANDS}.dead": dead})
    await bus.publish(make_messages(b"poison"))
    await dead.wait_until_settled(1, within=20)
    assert dead.settled == [b"poison"]


async def test_a_backlog_is_consumed_completely_whenever_a_copy_starts(backend: BusBackend) -> None:
    bus = await backend.start_bus()
    for start in range(3):
        consumer = RecordingConsumer()
        await bus.publish(make_messages(*numbered_bodies(300)))
        copy = await backend.start_bus({DEMANDS: consumer})
        await consumer.wait_until_settled(300)
        await copy.stop()
        assert sorted(consumer.settled) == sorted(numbered_bodies(300)), start


@pytest.mark.timeout(120)
async def test_what_was_published_survives_a_kill_of_the_broker(backend: BusBackend, tmp_path: Path) -> None:
    broker = RabbitMQ(tmp_path / "broker")
    broker.start()
    own = BusBackend(backend.kind, broker.url, tmp_path)
    try:
        bus, consumer = await own.start_bus(), RecordingConsumer()
        await asyncio.sleep(2.5)  # a quorum queue younger than about two seconds dies with the broker
        assert not await bus.publish(make_messages(*numbered_bodies(200), key=ACCEPTED))
        broker.nodes[0].kill()
        broker.restart()
        await eventually(lambda: answers_ping(bus), within=30)
        await own.start_bus({DEMANDS: consumer})
        await consumer.wait_until_settled(200, within=20)
    finally:
        await own.close()
        broker.stop()
