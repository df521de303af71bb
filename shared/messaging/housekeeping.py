"""Deletes what is older than its rule keeps, in bites of bounded size, as fast as it comes to be expired.

A rule's bite is a short transaction of its own: nothing waits for it longer than for a batch of work.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from sqlalchemy import Table, delete, select, tuple_

from shared.clock import Clock
from shared.database.engine import Database
from shared.messaging.relay import Relay

INBOX_KEEP = timedelta(days=30)
"""Longer than the longest replay: an event that was handled before that may be handled twice."""
REPLAYED_KEEP = timedelta(days=30)
"""A dead letter that was replayed is kept so long, to be looked at."""
BITE = 2000
"""Rows."""

Bite = Callable[[], Awaitable[int]]
"""Deletes up to `BITE` expired rows in a transaction of its own; how many it found."""


class Housekeeping:
    """The housekeeping of one service; `bites` are all that its tables need."""

    def __init__(self, bites: Sequence[Bite]) -> None:
        self.bites = list(bites)

    async def delete_expired(self) -> None:
        """Bite until nothing is left that is expired."""
        for bite in self.bites:
            while await bite() >= BITE:
                pass


def messaging_bites(
    database: Database, relay: Relay, inbox: Table, dead_letters: Table, clock: Clock
) -> list[Bite]:
    """For the tables that every service has."""

    async def delete_handled() -> int:
        return await delete_older(database, inbox, "received_at", clock, INBOX_KEEP)

    async def delete_replayed() -> int:
        return await delete_older(database, dead_letters, "replayed_at", clock, REPLAYED_KEEP)

    return [relay.delete_sent, delete_handled, delete_replayed]


async def delete_older(database: Database, table: Table, column: str, clock: Clock, keep: timedelta) -> int:
    """Delete up to a bite of the rows whose `column` is longer ago than `keep`; how many."""
    key = [*table.primary_key.columns]
    expired = select(*key).where(table.c[column] < clock.now() - keep).limit(BITE)
    async with database.transaction() as connection:
        return (await connection.execute(delete(table).where(tuple_(*key).in_(expired)))).rowcount
