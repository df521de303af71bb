"""Keys are issued and revoked."""

from datetime import datetime

from sqlalchemy import insert, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.intake.models import api_keys
from services.intake.operations.publication import SOURCE
from shared.auth import Identity
from shared.errors import NotFound
from shared.messages.cloudevents import Event
from shared.messages.events import KeyRevoked
from shared.messaging.outbox import Outbox


async def store_key(connection: AsyncConnection, identity: Identity, by: str, now: datetime) -> None:
    """Record that a key was issued; never the key itself."""
    await connection.execute(
        insert(api_keys).values(
            id=identity.key,
            name=identity.name,
            roles=sorted(identity.roles),
            properties=None if identity.properties is None else sorted(identity.properties),
            person=identity.person,
            issued_at=now,
            issued_by=by,
        )
    )


async def revoke_key(connection: AsyncConnection, outbox: Outbox, key: str, now: datetime) -> None:
    """The key is no longer valid, anywhere. Raises `NotFound`."""
    revoked = (
        update(api_keys).where(api_keys.c.id == key, api_keys.c.revoked_at.is_(None)).values(revoked_at=now)
    )
    if (await connection.execute(revoked)).rowcount == 0:
        raise NotFound
    await outbox.record(connection, Event.of(KeyRevoked(key=key), source=SOURCE, time=now))
