"""Dead letters: deliveries that no consumer could handle, with the reason, to be replayed on command."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Table, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.clock import Clock
from shared.ids import new_id
from shared.messaging.bus import Delivery

RejectedDelivery = tuple[Delivery, str]
"""A delivery and the reason why it can't be handled: no contents in it."""


class DeadLetter(NamedTuple):
    """A delivery that was set aside; `attempts` counts how often it was delivered."""

    id: str
    queue: str
    reason: str
    attempts: int
    headers: dict[str, str]
    body: bytes
    died_at: datetime


class DeadLetters:
    """A service's dead letters."""

    def __init__(self, table: Table, clock: Clock) -> None:
        self.table = table
        self._clock = clock

    async def store(self, connection: AsyncConnection, rejected: Sequence[RejectedDelivery]) -> None:
        """Keep deliveries with their reasons."""
        if not rejected:
            return
        rows = [
            {
                "id": new_id(),
                "queue": delivery.queue,
                "reason": reason[:500],
                "attempts": delivery.attempt + 1,
                "headers": delivery.headers,
                "body": delivery.body,
                "died_at": self._clock.now(),
            }
            for delivery, reason in rejected
        ]
        await connection.execute(insert(self.table), rows)

    async def count_by_queue(self, connection: AsyncConnection) -> dict[str, int]:
        """How many of each queue were not replayed."""
        table = self.table
        query = (
            select(table.c.queue, func.count()).where(table.c.replayed_at.is_(None)).group_by(table.c.queue)
        )
        return {str(queue): int(number) for queue, number in await connection.execute(query)}

    async def list_pending(
        self, connection: AsyncConnection, queue: str | None, reason: str | None, limit: int
    ) -> list[DeadLetter]:
        """The oldest that were not replayed; of `queue` and with `reason` as a part of theirs unless None."""
        table = self.table
        query = (
            select(*(table.c[name] for name in DeadLetter._fields))
            .where(table.c.replayed_at.is_(None))
            .order_by(table.c.died_at, table.c.id)
            .limit(limit)
        )
        if queue:
            query = query.where(table.c.queue == queue)
        if reason:
            query = query.where(table.c.reason.contains(reason, autoescape=True))
        return [DeadLetter(*row) for row in await connection.execute(query)]

    async def mark_replayed(self, connection: AsyncConnection, ids: Sequence[str]) -> None:
        """Count these as replayed from now on."""
        table = self.table
        await connection.execute(
            update(table)
            .where(table.c.id.in_(ids), table.c.replayed_at.is_(None))
            .values(replayed_at=self._clock.now())
        )
