"""What is published of a row of `events`: a demand as accepted, a fact as it came; always the same bytes."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncConnection

from services.intake import queries
from services.intake.queries import StoredEvent
from shared.messages.cloudevents import Event, encode
from shared.messages.events import DemandAccepted
from shared.messages.registry import EVENT_TYPES
from shared.messaging.outbox import OutgoingEvent

SOURCE = "guanjia/intake"
"""The source of intake's own events."""
_ACCEPTED = EVENT_TYPES[DemandAccepted]


class _Acceptance(Struct):
    """What a `DemandAccepted` says beside what was posted."""

    demand: str
    source: str
    raised_at: datetime
    accepted_at: datetime


def make_event(stored: StoredEvent) -> Event:
    """The event that is published; a demand's goes to dispatch always under the demand's own id."""
    if stored.demand is None:
        source, id_, type_, data = stored.source, stored.id, stored.type, stored.data
    else:
        source, id_, type_ = SOURCE, stored.demand, _ACCEPTED
        said = _Acceptance(stored.demand, stored.source, stored.time, stored.accepted_at)
        data = msgspec.json.encode(said)[:-1] + b"," + stored.data[1:]
    return Event(
        source=source, id=id_, type=type_, time=stored.time, data=msgspec.Raw(data), trace=stored.trace
    )


def make_outgoing(stored: StoredEvent) -> OutgoingEvent:
    """The same as it is sent."""
    event = make_event(stored)
    return OutgoingEvent(event.type, encode(event))


class AcceptedEvents:
    """The table `events` as a source of the relay."""

    async def read_events(
        self, connection: AsyncConnection, xids: Sequence[int]
    ) -> list[tuple[int, OutgoingEvent]]:
        """The events that these transactions accepted, by when they happened."""
        stored = await queries.get_events_of(connection, xids)
        return [(xid, make_outgoing(event)) for xid, event in stored]
