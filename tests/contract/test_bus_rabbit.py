"""What only RabbitMQ can be asked: other systems at both ends, a killed broker, refusals, dead letters."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import aio_pika
import pytest

from shared.messaging.bus import Message
from shared.messaging.rabbitmq import ATTEMPT
from tests.contract.conftest import (
    ACCEPTED,
    DEMANDS,
    BusInstallation,
    RecordingConsumer,
    is_connected,
    make_bodies,
    make_messages,
)
from tests.support.rabbitmq import RabbitMQ
from tests.support.waiting import eventually

pytestmark = pytest.mark.parametrize("installation", ["rabbitmq"], indirect=True)
OPENED = "guanjia.case.opened.v1"


@contextlib.asynccontextmanager
async def open_outside_channel(installation: BusInstallation) -> AsyncIterator[aio_pika.abc.AbstractChannel]:
    """Another system's channel on the same broker."""
    connection = await aio_pika.connect(installation.url)
    async with connection, connection.channel() as channel:
        yield channel


async def test_others_get_one_structured_event_a_message(installation: BusInstallation) -> None:
    bus = await installation.start()
    async with open_outside_channel(installation) as channel:
        queue = await channel.declare_queue(exclusive=True)
        await queue.bind("guanjia.events", "guanjia.case.#")
        body = b'{"specversion":"1.0"}'
        await bus.publish([Message(key=OPENED, body=body, packed=False, public=True)])
        message = await queue.get(timeout=5)
        assert message and (message.body, message.routing_key) == (body, OPENED)
        assert message.content_type == "application/cloudevents+json"
        assert message.delivery_mode == aio_pika.DeliveryMode.PERSISTENT


async def test_an_event_for_others_that_nobody_is_bound_to_is_not_refused(
    installation: BusInstallation,
) -> None:
    bus = await installation.start()
    assert not await bus.publish([Message(key=OPENED, body=b"{}", packed=False, public=True)])


async def test_one_that_cannot_be_routed_is_refused_and_the_others_arrive(
    installation: BusInstallation,
) -> None:
    consumer = RecordingConsumer()
    bus = await installation.start({DEMANDS: consumer})
    lost = Message(key="guanjia.nobody.hears.v1", body=b"lost", packed=False)
    assert list(await bus.publish([*make_messages(b"one"), lost, *make_messages(b"two")])) == [1]
    assert list(await bus.publish([lost])) == [0]
    await consumer.wait_until_settled(2)


async def test_whatever_others_write_into_headers_their_event_is_taken(installation: BusInstallation) -> None:
    consumer = RecordingConsumer()
    await installation.start({"intake.inbound": consumer})
    values: list[aio_pika.abc.FieldValue] = ["²", "9" * 5000, -1, "", "nul\x00", [1], {"a": 1}]
    async with open_outside_channel(installation) as channel:
        exchange = await channel.get_exchange("guanjia.inbound")
        for value in values:
            message = aio_pika.Message(b"{}", headers={ATTEMPT: value, "x-name": value})
            await exchange.publish(message, "guanjia.fee.paid.v1")
    await consumer.wait_until_settled(len(values))
    assert {delivery.attempt for delivery in consumer.deliveries} == {0}
    assert all(set(delivery.headers) <= {"content-type"} for delivery in consumer.deliveries)


async def test_what_is_never_settled_ends_in_the_dead_queue(installation: BusInstallation) -> None:
    consumer, dead = RecordingConsumer(failures=10_000), RecordingConsumer()
    bus = await installation.start({DEMANDS: consumer, f"{DEMANDS}.dead": dead})
    await bus.publish(make_messages(b"poison"))
    await dead.wait_until_settled(1, within=20)
    assert dead.settled == [b"poison"]


async def test_a_backlog_is_taken_whole_whenever_a_copy_starts(installation: BusInstallation) -> None:
    bus = await installation.start()
    for start in range(3):
        consumer = RecordingConsumer()
        await bus.publish(make_messages(*make_bodies(300)))
        copy = await installation.start({DEMANDS: consumer})
        await consumer.wait_until_settled(300)
        await copy.stop()
        assert sorted(consumer.settled) == sorted(make_bodies(300)), start


@pytest.mark.timeout(120)
async def test_what_was_published_survives_a_kill_of_the_broker(
    installation: BusInstallation, tmp_path: Path
) -> None:
    broker = RabbitMQ(tmp_path / "broker")
    broker.start()
    own_installation = BusInstallation(installation.kind, broker.url, tmp_path)
    try:
        bus, consumer = await own_installation.start(), RecordingConsumer()
        await asyncio.sleep(2.5)  # a quorum queue younger than about two seconds dies with the broker
        assert not await bus.publish(make_messages(*make_bodies(200), key=ACCEPTED))
        broker.nodes[0].kill()
        broker.restart()
        await eventually(lambda: is_connected(bus), within=30)
        await own_installation.start({DEMANDS: consumer})
        await consumer.wait_until_settled(200, within=20)
    finally:
        await own_installation.close()
        broker.stop()
