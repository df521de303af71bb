"""What intake does by itself: it publishes demands that have no case once more."""

from functools import partial

import structlog

from services.intake.operations.demand_progress import republish_lost_demands
from shared.database.engine import is_transient
from shared.host import Host
from shared.run_forever import run_forever

_log = structlog.stdlib.get_logger(__name__)
_EVERY_SECONDS = 10


async def republish_once(host: Host) -> int:
    """Publish demands without a case once more; how many."""
    async with host.database.transaction() as connection:
        count = await republish_lost_demands(connection, host.outbox, host.clock.now())
    if count:
        _log.warning("demands without a case are published again", count=count)
    return count


async def republish_for_ever(host: Host) -> None:
    """Do so for ever."""
    work = partial(republish_once, host)
    await run_forever("reconcile demands", work, every=_EVERY_SECONDS, is_temporary=is_transient)
