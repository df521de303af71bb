"""Who hears what: nothing is published that nobody hears, and nothing is dropped in silence."""

import pytest

from shared.messages.events import DemandAccepted
from shared.messages.facts import INBOUND, DemandRaised
from shared.messages.registry import EVENT_TYPES, PUBLIC, TYPES
from shared.messaging.topology import AUDIENCES, QUEUES, event_types_on, queues_for


@pytest.mark.parametrize("event_type", sorted(TYPES))
def test_every_event_is_heard_by_a_service_of_ours_or_published_for_others(event_type: str) -> None:
    if event_type == EVENT_TYPES[DemandRaised]:
        event_type = EVENT_TYPES[DemandAccepted]  # under which intake passes it on
    assert event_type in AUDIENCES or event_type in PUBLIC


@pytest.mark.parametrize("event_type", sorted(set(INBOUND) - {EVENT_TYPES[DemandRaised]}))
def test_every_fact_that_comes_in_is_heard(event_type: str) -> None:
    assert queues_for(event_type)


@pytest.mark.parametrize("queue", sorted(QUEUES))
def test_no_queue_hears_an_event_twice(queue: str) -> None:
    names = event_types_on(queue)
    assert len(names) == len(set(names)) > 0
