"""Events for ourselves are packed within limits, those for others go one by one."""

import msgspec

from shared.messages.cloudevents import Event, decode_batch
from shared.messages.events import CaseChanged
from tests.contract.samples import case
from tests.integration.shared.conftest import MessagingDriver, make_demand_event, make_fact


async def test_events_for_ourselves_are_packed_by_type_a_hundred_at_most(messaging: MessagingDriver) -> None:
    revoked = [make_fact(f"{number}", messaging.clock) for number in range(250)]
    await messaging.record(*revoked)
    assert await messaging.relay.drain() == 250
    assert [len(decode_batch(message.body)) for message in messaging.bus.sent] == [100, 100, 50]
    assert all(message.packed and not message.public for message in messaging.bus.sent)
    assert [event for message in messaging.bus.sent for event in decode_batch(message.body)] == revoked


async def test_a_packed_message_stays_below_a_quarter_of_a_megabyte(messaging: MessagingDriver) -> None:
    await messaging.record(
        *(make_demand_event(messaging, 30_000) for _ in range(20)), make_demand_event(messaging, 400_000)
    )
    await messaging.relay.drain()
    sizes = [len(message.body) for message in messaging.bus.sent]
    assert len(sizes) == 4
    assert sorted(sizes)[-2] <= 256 * 1024
    assert sum(len(decode_batch(message.body)) for message in messaging.bus.sent) == 21


async def test_events_for_others_go_one_by_one_beside_our_own_packs(messaging: MessagingDriver) -> None:
    cases = [
        Event.of(case(f"c{number}"), source="dispatch", time=messaging.clock.now()) for number in range(3)
    ]
    await messaging.record(*cases, make_fact("1", messaging.clock))
    await messaging.relay.drain()
    public = [message for message in messaging.bus.sent if message.public]
    own = [message for message in messaging.bus.sent if not message.public]
    assert [msgspec.json.decode(message.body)["data"]["case"] for message in public] == ["c0", "c1", "c2"]
    assert not any(message.packed for message in public)
    assert sorted(len(decode_batch(message.body)) for message in own) == [1, 3]
    assert {message.key for message in public} == {"guanjia.case.changed.v1"}
    assert isinstance(decode_batch(own[0].body)[0].data, CaseChanged)
