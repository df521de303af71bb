"""How long dispatch keeps what: steps for ever, but not what is only needed to publish and to repeat them."""

from datetime import timedelta

from sqlalchemy import exists, select, tuple_, update

from services.dispatch.models import messaging_tables, steps, withdrawals
from shared.clock import Clock
from shared.database.engine import Database
from shared.messaging.housekeeping import BITE, Bite, delete_older

BODY_KEEP = timedelta(days=7)
"""The body of a step and its key: after that a repetition of its key is a new request."""
WITHDRAWAL_KEEP = timedelta(days=30)
"""A demand that was taken back and never came."""


def dispatch_bites(database: Database, clock: Clock) -> list[Bite]:
    """The bites of dispatch's own tables."""
    unsent = messaging_tables.unsent

    async def strip_steps() -> int:
        key = (steps.c.xid, steps.c.position)
        is_unsent = exists().where(unsent.c.xid == steps.c.xid)
        is_old = steps.c.body.is_not(None) & (steps.c.recorded_at < clock.now() - BODY_KEEP)
        expired = select(*key).where(is_old, ~is_unsent)
        expired = expired.order_by(steps.c.recorded_at).limit(BITE)
        strip = update(steps).where(tuple_(*key).in_(expired))
        async with database.transaction() as connection:
            values = {"body": None, "caller": None, "key": None, "digest": None}
            return (await connection.execute(strip.values(values))).rowcount

    async def delete_withdrawals() -> int:
        return await delete_older(database, withdrawals, "heard_at", clock, WITHDRAWAL_KEEP)

    return [strip_steps, delete_withdrawals]
