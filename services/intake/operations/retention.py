"""How long intake keeps what it accepted: what people wrote, the names of events, the states of cases."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Delete, Update, delete, exists, select, tuple_, update

from services.intake.models import api_keys, case_states, events, messaging_tables
from shared.host import Host
from shared.messaging.housekeeping import BITE, Bite, delete_older

DATA_KEEP = timedelta(days=90)
"""What was posted, with the personal data in it; dispatch has what it needs of it."""
NAME_KEEP = timedelta(days=400)
"""Name and digest of an event, by which a repetition has no second effect: also when last year's is imported
again. The state of its case goes with it."""
REVOKED_KEEP = timedelta(days=400)
"""Who had a key that was revoked. That it is revoked is never forgotten: a key has no end of its own."""


def make_bites(host: Host) -> list[Bite]:
    """For the tables of intake itself."""

    async def erase_data() -> int:
        return await _bite(host, _erase_data(host.clock.now() - DATA_KEEP))

    async def delete_events() -> int:
        return await _bite(host, _delete_events(host.clock.now() - NAME_KEEP))

    async def delete_states() -> int:
        return await _bite(host, _delete_states(host.clock.now() - NAME_KEEP))

    async def delete_revoked() -> int:
        return await delete_older(host.database, api_keys, "revoked_at", host.clock, REVOKED_KEEP)

    return [erase_data, delete_events, delete_states, delete_revoked]


async def _bite(host: Host, statement: Update | Delete) -> int:
    async with host.database.transaction() as connection:
        return (await connection.execute(statement)).rowcount


def _erase_data(before: datetime) -> Update:
    """Of all events but those that may have to be published yet."""
    is_unsent = exists().where(messaging_tables.unsent.c.xid == events.c.xid)
    is_over = events.c.data.is_not(None) & events.c.republish_at.is_(None) & ~is_unsent
    erased = update(events).where(_first_accepted(before, is_over))
    return erased.values(data=None, xid=None, trace=None)


def _delete_events(before: datetime) -> Delete:
    """Those whose data is erased."""
    return delete(events).where(_first_accepted(before, events.c.data.is_(None)))


def _first_accepted(before: datetime, condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether an event is among the first ones accepted before that time which meet `condition`."""
    name = (events.c.source, events.c.id)
    first = select(*name).where(events.c.accepted_at < before, condition)
    return tuple_(*name).in_(first.order_by(events.c.accepted_at).limit(BITE))


def _delete_states(before: datetime) -> Delete:
    """Of cases that are closed, and were raised before that time: their ids sort by it."""
    first = select(case_states.c.case).where(case_states.c.case < make_first_id(before), ~case_states.c.open)
    return delete(case_states).where(case_states.c.case.in_(first.order_by(case_states.c.case).limit(BITE)))


def make_first_id(moment: datetime) -> str:
    """The lowest identifier of those made at that moment."""
    return str(UUID(int=int(moment.timestamp() * 1000) << 80))
