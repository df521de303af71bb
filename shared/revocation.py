"""Revoked keys: every service keeps them, so that a key ends everywhere without a call to another service."""

from collections.abc import Sequence

from sqlalchemy import Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.auth import Keyring
from shared.clock import Clock
from shared.database.bulk import BulkInsert
from shared.database.engine import Database
from shared.messages.cloudevents import Event
from shared.messages.events import KeyRevoked


class RevokedKeys:
    """The revoked keys in a service's table and in the keyring of its process."""

    def __init__(self, database: Database, table: Table, keyring: Keyring, clock: Clock) -> None:
        self._database, self._table = database, table
        self._keyring, self._clock = keyring, clock
        self._insert = BulkInsert(table, lambda insert: insert.on_conflict_do_nothing())

    async def handle_key_revoked(
        self, connection: AsyncConnection, events: Sequence[Event[KeyRevoked]]
    ) -> None:
        """Keys were revoked at intake."""
        await self.revoke(connection, [event.data.key for event in events])

    async def revoke(self, connection: AsyncConnection, keys: Sequence[str]) -> None:
        """These keys are no longer valid, here and in every copy."""
        now = self._clock.now()
        await self._insert.execute(connection, [{"key": key, "revoked_at": now} for key in sorted(set(keys))])
        self._keyring.revoked_keys.update(keys)

    async def load(self) -> None:
        """Put what other copies have revoked into the keyring."""
        async with self._database.autocommit() as connection:
            keys = await connection.execute(select(self._table.c.key))
            self._keyring.revoked_keys.update(keys.scalars())
