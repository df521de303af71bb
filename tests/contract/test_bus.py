"""What a bus promises, on SQLite, on PostgreSQL and on a real RabbitMQ alike."""

import asyncio
import time

import pytest

from shared.messaging.bus import Bus, BusDown
from tests.contract.conftest import DEMANDS, Place, Taker, messages, numbered, pings
from tests.support.waiting import eventually

everywhere = pytest.mark.parametrize("place", ["sqlite", "postgresql", "rabbitmq"], indirect=True)
shared_by_copies = pytest.mark.parametrize("place", ["postgresql", "rabbitmq"], indirect=True)
KEYS = "guanjia.key.revoked.v1"


@everywhere
async def test_what_was_published_is_there_for_a_copy_that_starts_later(place: Place) -> None:
    first, taker = await place.started(), Taker()
    assert list(await first.publish(messages(b"one", b"two"))) == []
    await first.stop()
    await place.started({DEMANDS: taker})
    await taker.has_settled(2)
    assert sorted(taker.settled) == [b"one", b"two"]


@everywhere
async def test_every_queue_of_a_type_gets_its_own_copy(place: Place) -> None:
    takers, stranger = {f"{service}.keys": Taker() for service in ("dispatch", "survey", "kpi")}, Taker()
    bus = await place.started({**takers, DEMANDS: stranger})
    await bus.publish(messages(b"gone", key=KEYS))
    for taker in takers.values():
        await taker.has_settled(1)
    assert stranger.sets == []


@everywhere
async def test_what_waits_is_taken_in_sets(place: Place) -> None:
    bus, taker = await place.started(), Taker()
    await bus.publish(messages(*numbered(60)))
    await place.started({DEMANDS: taker})
    await taker.has_settled(60)
    assert sorted(taker.settled) == sorted(numbered(60))
    assert len(taker.sets) <= 30


@everywhere
async def test_a_consumer_that_raises_gets_the_same_again(place: Place) -> None:
    taker = Taker(failures=1)
    bus = await place.started({DEMANDS: taker})
    await bus.publish(messages(b"one"))
    await taker.has_settled(1)
    assert [delivery.body for delivery in taker.deliveries] == [b"one", b"one"]


@everywhere
async def test_a_retry_comes_after_its_delay_and_counts_its_attempts(place: Place) -> None:
    taker = Taker()
    bus = await place.started({DEMANDS: taker})
    await bus.publish(messages(b"one"))
    await taker.has_settled(1)
    for attempt in (1, 2):
        asked = time.monotonic()
        await bus.retry(taker.deliveries[-1], b"again", 1)
        await taker.has_settled(attempt + 1)
        assert time.monotonic() - asked >= 0.9
        assert (taker.deliveries[-1].body, taker.deliveries[-1].attempt) == (b"again", attempt)


@everywhere
async def test_a_retry_does_not_hold_up_what_comes_after_it(place: Place) -> None:
    taker = Taker()
    bus = await place.started({DEMANDS: taker})
    await bus.publish(messages(b"one"))
    await taker.has_settled(1)
    await bus.retry(taker.deliveries[0], b"later", 5)
    await bus.publish(messages(b"two"))
    await taker.has_settled(2, within=4)
    assert taker.settled == [b"one", b"two"]


@everywhere
async def test_a_queue_whose_consumer_fails_does_not_hold_up_another(place: Place) -> None:
    failing, well = Taker(failures=20), Taker()
    bus = await place.started({"survey.keys": failing, "kpi.keys": well})
    await bus.publish(messages(b"poison", key=KEYS))
    await eventually(failing.number_of_sets)
    for number, body in enumerate(numbered(5), start=2):
        await bus.publish(messages(body, key=KEYS))
        await well.has_settled(number, within=2)


@shared_by_copies
async def test_two_copies_share_the_work_and_do_none_of_it_twice(place: Place) -> None:
    one, two = Taker(held=True), Taker(held=True)
    publisher = await place.started()
    await publisher.publish(messages(*numbered(600)))
    for taker in (one, two):
        await place.started({DEMANDS: taker})
        await eventually(taker.number_of_sets)
    one.released.set()
    two.released.set()
    await have_settled(600, one, two)
    assert sorted(one.settled + two.settled) == sorted(numbered(600))


@everywhere
async def test_a_pause_finishes_what_is_in_hand_and_takes_nothing_new(place: Place) -> None:
    taker, later = Taker(held=True), Taker()
    bus = await place.started({DEMANDS: taker})
    await bus.publish(messages(b"in hand"))
    await eventually(taker.number_of_sets)
    pausing = asyncio.create_task(bus.pause())
    await asyncio.sleep(0.1)  # the pause has begun
    await bus.publish(messages(*numbered(5)))
    taker.released.set()
    await asyncio.wait_for(pausing, 5)
    assert taker.settled == [b"in hand"]
    await bus.stop()
    await place.started({DEMANDS: later})
    await later.has_settled(5)
    assert sorted(later.settled) == numbered(5)


@everywhere
async def test_a_copy_that_ends_in_the_middle_leaves_the_rest_to_the_next(place: Place) -> None:
    taker, rest = Taker(), Taker()
    first = await place.started()
    await first.publish(messages(*numbered(1000)))
    second = place.bus()
    await second.start({DEMANDS: taker})
    await eventually(taker.number_of_sets, within=30)
    await second.stop()
    await place.started({DEMANDS: rest})
    await have_settled(1000, taker, rest)
    assert len(rest.settled) == len(set(rest.settled)) > 0


@shared_by_copies
async def test_a_copy_that_dies_with_work_in_hand_leaves_it_to_the_next(place: Place) -> None:
    async with place.behind_a_proxy() as (there, proxy):
        dying, heir = Taker(held=True), Taker()
        bus = await there.started({DEMANDS: dying})
        await bus.publish(messages(b"one"))
        await eventually(dying.number_of_sets)
        await proxy.refuse()
        await place.started({DEMANDS: heir})
        await heir.has_settled(1)
        dying.released.set()
    assert heir.settled == [b"one"]


@pytest.mark.parametrize("place", ["postgresql"], indirect=True)
async def test_a_copy_stops_although_its_database_is_gone_with_work_in_hand(place: Place) -> None:
    async with place.behind_a_proxy() as (there, proxy):
        taker = Taker(held=True)
        bus = await there.started({DEMANDS: taker})
        await bus.publish(messages(b"one"))
        await eventually(taker.number_of_sets)
        await proxy.refuse()
        await asyncio.wait_for(bus.stop(), 5)


@shared_by_copies
async def test_while_the_broker_is_away_publishing_fails_and_works_when_it_returns(place: Place) -> None:
    async with place.behind_a_proxy() as (there, proxy):
        taker = Taker()
        bus = await there.started({DEMANDS: taker})
        await proxy.refuse()
        for attempt in (bus.publish(messages(b"away")), bus.ping()):
            with pytest.raises(BusDown):
                await asyncio.wait_for(attempt, 10)
        await proxy.listen()
        await eventually(lambda: published(bus, b"after"), within=20)
        await eventually(lambda: arrived(taker, b"after"))
        await bus.ping()


@pytest.mark.parametrize("place", ["rabbitmq"], indirect=True)
async def test_a_bus_that_starts_before_its_broker_goes_on_by_itself(place: Place) -> None:
    async with place.behind_a_proxy() as (there, proxy):
        await proxy.refuse()
        bus, taker = there.bus(), Taker()
        await bus.start({DEMANDS: taker})
        with pytest.raises(BusDown):
            await bus.publish(messages(b"too early"))
        await proxy.listen()
        await eventually(lambda: published(bus, b"one"), within=30)
        await eventually(lambda: arrived(taker, b"one"))


@shared_by_copies
async def test_a_ping_on_a_stalled_link_ends(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    async with place.behind_a_proxy() as (there, proxy):
        bus = await there.started()
        monkeypatch.setattr("shared.messaging.rabbitmq._CALL_SECONDS", 1)
        monkeypatch.setattr("shared.database.engine.CONNECT_SECONDS", 1)
        proxy.stall()
        with pytest.raises(BusDown):
            await asyncio.wait_for(bus.ping(), 4)
        proxy.flow()
        await eventually(lambda: pings(bus), within=20)


async def have_settled(count: int, *takers: Taker) -> None:
    """Wait until so many different ones were settled."""

    async def number() -> int:
        return len({body for taker in takers for body in taker.settled})

    await eventually(number, lambda seen: seen == count, within=20)


async def published(bus: Bus, body: bytes) -> bool:
    return not await bus.publish(messages(body))


async def arrived(taker: Taker, body: bytes) -> bool:
    return body in taker.settled
