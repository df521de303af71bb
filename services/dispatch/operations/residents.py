"""What residents are registered with that moves priority and contact."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from services.dispatch.models import residents
from services.dispatch.queries.demands import ResidentName
from shared.database.bulk import BulkInsert
from shared.messages.cloudevents import Event
from shared.messages.facts import ResidentRegistered

_UPSERT_RESIDENTS = BulkInsert(
    residents,
    lambda insert: insert.on_conflict_do_update(
        index_elements=[residents.c.property, residents.c.resident],
        set_={name: insert.excluded[name] for name in ("tier", "language", "at")},
        where=residents.c.at < insert.excluded.at,
    ),
)


async def register_residents(
    connection: AsyncConnection, events: Sequence[Event[ResidentRegistered]]
) -> None:
    """Keep tier and language; the registration of the latest time holds."""
    latest: dict[ResidentName, Event[ResidentRegistered]] = {}
    for event in sorted(events, key=lambda event: (event.time, event.source, event.id)):
        latest[event.data.property, event.data.resident] = event
    rows = [
        {
            "property": property_id,
            "resident": resident,
            "tier": event.data.tier,
            "language": event.data.language,
            "at": event.time,
        }
        for (property_id, resident), event in sorted(latest.items())
    ]
    if rows:
        await _UPSERT_RESIDENTS.execute(connection, rows)
