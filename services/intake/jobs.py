"""What intake does by itself: publishes demands without a case again, watches how much is unpublished."""

from functools import partial

import structlog

from services.intake.operations.acceptor import Acceptor
from services.intake.operations.demand_progress import republish_lost_demands
from shared.database.engine import is_transient
from shared.host import Host
from shared.messaging.relay import Relay
from shared.run_forever import run_forever

_log = structlog.stdlib.get_logger(__name__)
_EVERY_SECONDS = 10
_BACKLOG_SECONDS = 5


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


async def watch_backlog_for_ever(acceptor: Acceptor, relay: Relay) -> None:
    """Tell the acceptor, for ever, how much is still to be published."""

    async def measure() -> None:
        acceptor.backlog, _ = await relay.measure_backlog()

    await run_forever("backlog", measure, every=_BACKLOG_SECONDS, is_temporary=is_transient)
