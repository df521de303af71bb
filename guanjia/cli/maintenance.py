"""What an operator does to a service's data from the command line, beside the services that run."""

from guanjia.process import Process
from services.kpi.operations.items import rebuild_items
from shared.database.migrations import upgrade
from shared.messaging import replay
from shared.messaging.dead_letters import DeadLetter
from shared.service import Service
from shared.settings import Settings


async def open_service(settings: Settings, name: str) -> Service:
    """A service whose data is at hand and that does nothing by itself; its database is to be disposed of."""
    service = Process([name], settings).services[0]
    await upgrade(service.database, service.metadata)
    return service


async def rebuild_rates(settings: Settings) -> int:
    """Count every rate anew from the stored events; how many subjects were counted."""
    service = await open_service(settings, "kpi")
    try:
        return await rebuild_items(service)
    finally:
        await service.database.dispose()


async def list_dead_letters(
    settings: Settings, name: str, queue: str | None, reason: str | None, limit: int
) -> list[DeadLetter]:
    """A service's dead letters."""
    service = await open_service(settings, name)
    try:
        async with service.database.snapshot() as connection:
            return await service.dead_letters.list_pending(connection, queue, reason, limit)
    finally:
        await service.database.dispose()


async def replay_dead_letters(
    settings: Settings, name: str, queue: str | None, reason: str | None, limit: int
) -> tuple[int, int]:
    """Take dead letters once more: how many were taken, and how many came back."""
    process = Process([name], settings)
    service = process.services[0]
    await service.bus.start({})
    try:
        await upgrade(service.database, service.metadata)
        await service.prepare()
        taken = await replay.replay_dead_letters(service, queue, reason, limit)
        while await service.relay.send_batch():
            pass
        async with service.database.snapshot() as connection:
            left = sum((await service.dead_letters.count_by_queue(connection)).values())
        return taken, left
    finally:
        await process.stop()
