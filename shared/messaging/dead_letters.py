"""What could not be taken: kept with the reason, counted by a gauge, replayed on command."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, Table, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.clock import Clock
from shared.ids import new_id
from shared.messaging.bus import Delivery


class DeadLetters:
    """A service's dead letters."""

    def __init__(self, table: Table, clock: Clock) -> None:
        self.table = table
        self._clock = clock

    async def store(self, connection: AsyncConnection, letters: Sequence[tuple[Delivery, str]]) -> None:
        """Keep deliveries, each with the reason why it can't be taken (no contents in a reason)."""
        if not letters:
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
            for delivery, reason in letters
        ]
        await connection.execute(insert(self.table), rows)

    async def count_by_queue(self, connection: AsyncConnection) -> dict[str, int]:
        """How many lie in each queue."""
        table = self.table
        query = (
            select(table.c.queue, func.count().label("number"))
            .where(table.c.replayed_at.is_(None))
            .group_by(table.c.queue)
        )
        return {row.queue: row.number for row in await connection.execute(query)}

    async def list_pending(
        self, connection: AsyncConnection, queue: str | None, reason: str | None, limit: int
    ) -> Sequence[Row[Any]]:
        """The oldest letters that were not replayed, of a queue and a reason (a part of it) where given."""
        table = self.table
        query = (
            select(table)
            .where(table.c.replayed_at.is_(None))
            .order_by(table.c.died_at, table.c.id)
            .limit(limit)
        )
        if queue:
            query = query.where(table.c.queue == queue)
        if reason:
            query = query.where(table.c.reason.contains(reason, autoescape=True))
        return (await connection.execute(query)).all()

    async def mark_replayed(self, connection: AsyncConnection, ids: Sequence[str]) -> None:
        """These were replayed."""
        table = self.table
        await connection.execute(
            update(table)
            .where(table.c.id.in_(ids), table.c.replayed_at.is_(None))
            .values(replayed_at=self._clock.now())
        )
