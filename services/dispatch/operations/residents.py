"""What residents are registered with that moves priority and contact."""

from collections.abc import Sequence

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from services.dispatch.models import residents
from shared.messages.cloudevents import Event


async def register_residents(connection: AsyncConnection, events: Sequence[Event]) -> None:
    """Keep tier and language; the registration of the latest time holds."""
    latest: dict[tuple[str, str], Event] = {}
    for event in sorted(events, key=lambda event: (event.time, event.source, event.id)):
        latest[event.data.property, event.data.resident] = event
    if not latest:
        return
    rows = [
        {
            "property": prop,
            "resident": resident,
            "tier": event.data.tier,
            "language": event.data.language,
            "at": event.time,
        }
        for (prop, resident), event in sorted(latest.items())
    ]
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(residents)
    statement = statement.on_conflict_do_update(
        index_elements=[residents.c.property, residents.c.resident],
        set_={name: statement.excluded[name] for name in ("tier", "language", "at")},
        where=residents.c.at < statement.excluded.at,
    )
    await connection.execute(statement, rows)
