"""What survey deletes in time; follow-ups and the attempts at them stay: the rates are counted from them."""

from datetime import timedelta

from sqlalchemy import Update, select, tuple_, update

from services.survey.models import attempts, form_links
from shared.host import Host
from shared.messaging.housekeeping import BITE, Bite, delete_older

KEY_KEEP = timedelta(days=7)
"""How long a repeated request is recognised by its `Idempotency-Key`; the attempt itself stays."""
LINK_KEEP = timedelta()
"""A form that has expired answers as one that never was."""


def make_bites(host: Host) -> list[Bite]:
    """For the tables of survey itself."""

    async def forget_keys() -> int:
        async with host.database.transaction() as connection:
            return (await connection.execute(_forget_keys(host))).rowcount

    async def delete_links() -> int:
        return await delete_older(host.database, form_links, "expires_at", host.clock, LINK_KEEP)

    return [forget_keys, delete_links]


def _forget_keys(host: Host) -> Update:
    name = (attempts.c.followup_id, attempts.c.seq)
    used = select(*name).where(
        attempts.c.idempotency_key.is_not(None), attempts.c.recorded_at < host.clock.now() - KEY_KEEP
    )
    first = tuple_(*name).in_(used.order_by(attempts.c.recorded_at).limit(BITE))
    return update(attempts).where(first).values(caller=None, idempotency_key=None, body_hash=None)
