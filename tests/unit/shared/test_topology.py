"""Routing: nothing is published without a subscriber, and nothing is dropped in silence."""

import pytest

from shared.messages.events import DemandAccepted
from shared.messages.facts import INBOUND, DemandRaised
from shared.messages.registry import EVENT_TYPES, PUBLIC, TYPES
from shared.messaging.topology import QUEUES, SUBSCRIBERS, event_types_on, queues_for


@pytest.mark.parametrize("event_type", sorted(TYPES))
def test_every_event_has_a_subscriber_of_ours_or_is_published_for_others(event_type: str) -> None:
    if event_type == EVENT_TYPES[DemandRaised]:
        event_type = EVENT_TYPES[DemandAccepted]  # under which intake passes it on
    assert event_type in SUBSCRIBERS or event_type in PUBLIC


@pytest.mark.parametrize("event_type", sorted(set(INBOUND) - {EVENT_TYPES[DemandRaised]}))
def test_every_incoming_fact_has_a_subscriber(event_type: str) -> None:
    assert queues_for(event_type)


@pytest.mark.parametrize("queue", sorted(QUEUES))
def test_no_queue_gets_an_event_twice(queue: str) -> None:
    names = event_types_on(queue)
    assert len(names) == len(set(names)) > 0
