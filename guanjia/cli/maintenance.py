"""What an operator does to a service's data from the command line, beside the services that run."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

import msgspec
from msgspec import Struct

from guanjia.process import Process
from services.kpi.operations.items import rebuild_items
from shared.database.migrations import upgrade
from shared.messaging import replay
from shared.service import Service
from shared.settings import Settings
from shared.telemetry import configure_logging


class DeadLetterSummary(Struct, frozen=True):
    """A dead letter without its body, which may hold personal data."""

    id: str
    queue: str
    died_at: datetime
    attempts: int
    reason: str


@asynccontextmanager
async def open_service(settings: Settings, name: str) -> AsyncIterator[Service]:
    """A service by itself on its migrated database, neither listening nor working; closed afterwards."""
    configure_logging("WARNING")
    process = Process([name], settings)
    service = process.services[0]
    try:
        await upgrade(service.database, service.metadata)
        yield service
    finally:
        await process.stop()


async def rebuild_rates(settings: Settings) -> int:
    """Count every rate anew from the stored events; how many subjects were counted."""
    async with open_service(settings, "kpi") as service:
        return await rebuild_items(service)


async def list_dead_letters(
    settings: Settings, name: str, queue: str | None, reason: str | None, limit: int
) -> Sequence[DeadLetterSummary]:
    """A service's dead letters that were not replayed, the oldest first."""
    async with open_service(settings, name) as service, service.database.snapshot() as connection:
        rows = await service.dead_letters.list_pending(connection, queue, reason, limit)
        return [msgspec.convert(row, DeadLetterSummary, from_attributes=True) for row in rows]


async def replay_dead_letters(
    settings: Settings, name: str, queue: str | None, reason: str | None, limit: int
) -> tuple[int, int]:
    """Replay dead letters: how many were taken, and how many the service has then."""
    async with open_service(settings, name) as service:
        await service.bus.start({})
        await service.prepare()
        replayed = await replay.replay_dead_letters(service, queue, reason, limit)
        await service.relay.drain()
        async with service.database.snapshot() as connection:
            remaining = sum((await service.dead_letters.count_by_queue(connection)).values())
        return replayed, remaining
