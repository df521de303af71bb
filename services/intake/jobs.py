"""What intake does by itself: it asks again for demands that nobody knows."""

import asyncio
from typing import Any

import structlog

from services.intake.operations import acceptance

_log = structlog.get_logger(__name__)
_EVERY_SECONDS = 10


async def reconcile_once(service: Any) -> int:
    """Send demands without a case once more; how many."""
    async with service.database.transaction() as connection:
        count = await acceptance.republish_lost_demands(connection, service.outbox, service.clock.now())
    if count:
        _log.warning("demands without a case are sent again", count=count)
        service.committed()
    return int(count)


async def reconcile(service: Any) -> None:
    """Ask again, for ever."""
    while True:
        await asyncio.sleep(_EVERY_SECONDS)
        try:
            await reconcile_once(service)
        except Exception as error:
            _log.warning("could not reconcile", error=type(error).__name__)
