"""Dead letters are handed to their consumers again, on an operator's command."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import structs

from shared.database.engine import Database
from shared.messaging.availability import retry_while_unavailable
from shared.messaging.bus import Consumer, Delivery
from shared.messaging.dead_letters import DeadLetters


class ReplayHost(Protocol):
    """What a replay needs of the service whose dead letters they are."""

    database: Database
    dead_letters: DeadLetters

    def consumers(self) -> Mapping[str, Consumer]:
        """The consumers of the service's queues."""
        ...


async def replay_dead_letters(
    host: ReplayHost, queue: str | None = None, reason: str | None = None, limit: int = 1000
) -> int:
    """Hand dead letters to their consumers again, those of `queue` whose reason holds `reason`; how many."""
    consumers, database, dead_letters = host.consumers(), host.database, host.dead_letters
    async with database.snapshot() as connection:
        pending = await dead_letters.list_pending(connection, queue, reason, limit)
    for letter in pending:
        delivery = Delivery(queue=letter.queue, body=letter.body, headers=letter.headers)
        await consumers[letter.queue]([delivery])
        async with database.transaction() as connection:
            await dead_letters.mark_replayed(connection, [letter.id])
    return len(pending)


class DeadQueueConsumer:
    """Stores what the broker gave up delivering as dead letters too."""

    def __init__(self, database: Database, dead_letters: DeadLetters, queue: str) -> None:
        self._database, self._dead_letters, self._queue = database, dead_letters, queue

    async def consume(self, deliveries: Sequence[Delivery]) -> None:
        """Store every delivery, under the name of the queue that it was meant for."""
        rejected = [(structs.replace(d, queue=self._queue), "delivered too often") for d in deliveries]

        async def store() -> None:
            async with self._database.transaction() as connection:
                await self._dead_letters.store(connection, rejected)

        await retry_while_unavailable(self._queue, store)
