"""What only RabbitMQ can be asked: other systems at both ends, a killed broker, refusals, dead letters."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import aio_pika
import pytest

from shared.messaging.bus import Message
from shared.messaging.rabbitmq import ATTEMPT
from tests.contract.conftest import ACCEPTED, DEMANDS, Place, Taker, messages, numbered, pings
from tests.support.rabbitmq import RabbitMQ
from tests.support.waiting import eventually

pytestmark = pytest.mark.parametrize("place", ["rabbitmq"], indirect=True)
OPENED = "guanjia.case.opened.v1"


@contextlib.asynccontextmanager
async def outsider(place: Place) -> AsyncIterator[aio_pika.abc.AbstractChannel]:
    """Another system's channel on the same broker."""
    connection = await aio_pika.connect(place.url)
    async with connection, connection.channel() as channel:
        yield channel


async def test_others_get_one_structured_event_a_message(place: Place) -> None:
    bus = await place.started()
    async with outsider(place) as channel:
        queue = await channel.declare_queue(exclusive=True)
        await queue.bind("guanjia.events", "guanjia.case.#")
        body = b'{"specversion":"1.0"}'
        await bus.publish([Message(key=OPENED, body=body, packed=False, public=True)])
        message = await queue.get(timeout=5)
        assert message and (message.body, message.routing_key) == (body, OPENED)
        assert message.content_type == "application/cloudevents+json"
        assert message.delivery_mode == aio_pika.DeliveryMode.PERSISTENT


async def test_an_event_for_others_that_nobody_is_bound_to_is_not_refused(place: Place) -> None:
    bus = await place.started()
    assert not await bus.publish([Message(key=OPENED, body=b"{}", packed=False, public=True)])


async def test_one_that_cannot_be_routed_is_refused_and_the_others_arrive(place: Place) -> None:
    taker = Taker()
    bus = await place.started({DEMANDS: taker})
    lost = Message(key="guanjia.nobody.hears.v1", body=b"lost", packed=False)
    assert list(await bus.publish([*messages(b"one"), lost, *messages(b"two")])) == [1]
    assert list(await bus.publish([lost])) == [0]
    await taker.has_settled(2)


async def test_whatever_others_write_into_headers_their_event_is_taken(place: Place) -> None:
    taker = Taker()
    await place.started({"intake.inbound": taker})
    told: list[aio_pika.abc.FieldValue] = ["²", "9" * 5000, -1, "", "nul\x00", [1], {"a": 1}]
    async with outsider(place) as channel:
        exchange = await channel.get_exchange("guanjia.inbound")
        for value in told:
            message = aio_pika.Message(b"{}", headers={ATTEMPT: value, "x-name": value})
            await exchange.publish(message, "guanjia.fee.paid.v1")
    await taker.has_settled(len(told))
    assert {delivery.attempt for delivery in taker.deliveries} == {0}
    assert all(set(delivery.headers) <= {"content-type"} for delivery in taker.deliveries)


async def test_what_is_never_settled_ends_in_the_dead_queue(place: Place) -> None:
    taker, dead = Taker(failures=10_000), Taker()
    bus = await place.started({DEMANDS: taker, f"{DEMANDS}.dead": dead})
    await bus.publish(messages(b"poison"))
    await dead.has_settled(1, within=20)
    assert dead.settled == [b"poison"]


async def test_a_backlog_is_taken_whole_whenever_a_copy_starts(place: Place) -> None:
    bus = await place.started()
    for start in range(3):
        taker = Taker()
        await bus.publish(messages(*numbered(300)))
        copy = await place.started({DEMANDS: taker})
        await taker.has_settled(300)
        await copy.stop()
        assert sorted(taker.settled) == sorted(numbered(300)), start


@pytest.mark.timeout(120)
async def test_what_was_published_survives_a_kill_of_the_broker(place: Place, tmp_path: Path) -> None:
    broker = RabbitMQ(tmp_path / "broker")
    broker.start()
    own = Place(place.kind, broker.url, tmp_path)
    try:
        bus, taker = await own.started(), Taker()
        await asyncio.sleep(2.5)  # a quorum queue younger than about two seconds dies with the broker
        assert not await bus.publish(messages(*numbered(200), key=ACCEPTED))
        broker.nodes[0].kill()
        broker.restart()
        await eventually(lambda: pings(bus), within=30)
        await own.started({DEMANDS: taker})
        await taker.has_settled(200, within=20)
    finally:
        await own.close()
        broker.stop()
