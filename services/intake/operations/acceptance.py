"""Accepts batches of incoming events: each once, durable, in one row, and one to publish."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncConnection

from services.intake import queries
from services.intake.domain.incoming_event import IncomingEvent
from services.intake.models import events
from shared.database.bulk import BulkInsert
from shared.errors import Conflict
from shared.messages.cloudevents import Event
from shared.messages.events import DemandAccepted
from shared.messages.facts import DemandRaised
from shared.messaging.outbox import Outbox

SOURCE = "guanjia/intake"
"""The source of intake's own events."""
EventName = tuple[str, str]
_INSERT_EVENTS = BulkInsert(
    events,
    lambda insert: insert.on_conflict_do_nothing(index_elements=["source", "id"]).returning(
        events.c.source, events.c.id
    ),
)


class Acceptance(Struct, frozen=True, omit_defaults=True):
    """The outcome for one event."""

    status: Literal["accepted", "duplicate"]
    source: str
    id: str
    demand: str | None = None


class EventConflict(Conflict):
    """An event of this name was accepted with other content; the first one stands."""

    title = "An event of this source and id was accepted with other content"
    title_zh = "同一 source 与 id 的事件已以不同内容被接受"


async def accept_events(
    connection: AsyncConnection, outbox: Outbox, batch: Sequence[IncomingEvent], now: datetime
) -> list[Acceptance | EventConflict]:
    """Accept each event of `batch` once, in one transaction. Order is kept.

    One whose name was taken is a duplicate where it says the same, else an `EventConflict`.
    """
    firsts: dict[EventName, IncomingEvent] = {}
    for event in batch:
        firsts.setdefault(event.name, event)
    fresh = await _insert_events(connection, [firsts[name] for name in sorted(firsts)], now)
    known = [name for name in firsts if name not in fresh]
    existing = await queries.get_accepted_events(connection, known) if known else {}
    await outbox.record(connection, *(_make_event(firsts[name], now) for name in firsts if name in fresh))
    return [_make_acceptance(event, firsts, fresh, existing) for event in batch]


def _make_acceptance(
    event: IncomingEvent,
    firsts: dict[EventName, IncomingEvent],
    fresh: set[EventName],
    existing: dict[EventName, queries.AcceptedEvent],
) -> Acceptance | EventConflict:
    is_fresh = event.name in fresh
    first = firsts[event.name] if is_fresh else existing[event.name]
    if first.digest != event.digest:
        return EventConflict()
    is_new = is_fresh and first is event
    return Acceptance("accepted" if is_new else "duplicate", *event.name, first.demand)


async def _insert_events(
    connection: AsyncConnection, batch: Sequence[IncomingEvent], now: datetime
) -> set[EventName]:
    """The names of those that are new."""
    rows = [
        {
            "source": event.source,
            "id": event.id,
            "type": event.type,
            "property": event.data.property,
            "time": event.time,
            "digest": event.digest,
            "demand": event.demand,
            "data": msgspec.json.encode(event.data),
            "accepted_at": now,
            "accepted_by": event.by,
            "case_awaited_since": None if event.demand is None else now,
        }
        for event in batch
    ]
    return {(source, id_) for source, id_ in await _INSERT_EVENTS.execute(connection, rows)}


def _make_event(event: IncomingEvent, now: datetime) -> Event:
    """The event as it is published: a demand as accepted, a fact as it came."""
    if event.demand is not None and isinstance(event.data, DemandRaised):
        return make_demand_event(event.data, event.demand, event.source, event.time, now, event.trace)
    return Event(
        source=event.source,
        id=event.id,
        type=event.type,
        time=event.time,
        data=event.data,
        trace=event.trace,
    )


def make_demand_event(
    raised: DemandRaised,
    demand: str,
    source: str,
    raised_at: datetime,
    accepted_at: datetime,
    trace: str | None = None,
) -> Event[DemandAccepted]:
    """The event for dispatch, always under the demand's own id."""
    fields: dict[str, Any] = msgspec.structs.asdict(raised)
    data = DemandAccepted(
        demand=demand, source=source, raised_at=raised_at, accepted_at=accepted_at, **fields
    )
    return Event.of(data, id=demand, source=SOURCE, time=raised_at, trace=trace)
