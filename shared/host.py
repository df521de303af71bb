"""The interface of a service that its operations, handlers, jobs and endpoints see."""

from collections.abc import Mapping
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from shared.auth import Keyring, Secret
from shared.clock import Clock
from shared.database.engine import Database
from shared.messages.cloudevents import Event
from shared.messages.kinds import KindCatalog
from shared.messaging.outbox import Outbox
from shared.properties.property import Property
from shared.settings import Settings


class Host(Protocol):
    """A service as its parts see it; each service adds its own."""

    settings: Settings
    clock: Clock
    secret: Secret
    keyring: Keyring
    properties: Mapping[str, Property]
    kinds: KindCatalog
    database: Database
    outbox: Outbox

    async def record(self, connection: AsyncConnection, *events: Event) -> None:
        """Write `events` to be published once the caller's transaction has committed."""
        ...
