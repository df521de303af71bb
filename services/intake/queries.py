"""What intake reads: accepted events, demands and their cases, the keys that were issued."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec
from sqlalchemy import exists, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from services.intake.models import api_keys, case_states, events, messaging_tables
from shared.database.bulk import any_of
from shared.messages.events import DeadlineStatus
from shared.messages.facts import DemandRaised

UNACCOUNTED_AFTER = timedelta(seconds=30)
"""After so long a demand without a case is published again, and counted as unaccounted for."""
_raised = msgspec.json.Decoder(DemandRaised)


class AcceptedEvent(NamedTuple):
    """An event that was accepted under its name, with the demand that it raised."""

    source: str
    id: str
    digest: bytes
    demand: str | None


class DemandCase(NamedTuple):
    """The latest state of a demand's case that intake has received."""

    number: str
    state: str
    open: bool
    deadlines: list[DeadlineStatus]


class StoredDemand(NamedTuple):
    """A demand as it was accepted, by the event `source`, `id`, whose time is when it was raised."""

    demand: str
    property: str
    source: str
    id: str
    accepted_by: str
    time: datetime
    accepted_at: datetime
    data: bytes | None

    def decode_data(self) -> DemandRaised | None:
        """What was posted; None where it is erased."""
        return None if self.data is None else _raised.decode(self.data)


class StoredEvent(NamedTuple):
    """What is published of an accepted event; `demand` None: it raises none."""

    source: str
    id: str
    type: str
    time: datetime
    demand: str | None
    data: bytes
    accepted_at: datetime
    trace: str | None


class IssuedKey(NamedTuple):
    """A key that was issued; `properties` None: all."""

    id: str
    name: str
    roles: list[str]
    properties: list[str] | None
    person: str | None
    issued_at: datetime
    revoked_at: datetime | None


async def get_accepted_events(
    connection: AsyncConnection, names: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], AcceptedEvent]:
    """The events accepted under these names."""
    query = select(*(events.c[name] for name in AcceptedEvent._fields))
    rows = await connection.execute(query.where(tuple_(events.c.source, events.c.id).in_(names)))
    accepted = [AcceptedEvent(*row) for row in rows]
    return {(event.source, event.id): event for event in accepted}


async def get_demand(connection: AsyncConnection, demand_id: str) -> StoredDemand | None:
    """The demand with what was posted."""
    query = select(*(events.c[name] for name in StoredDemand._fields)).where(events.c.demand == demand_id)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else StoredDemand(*row)


async def get_case(connection: AsyncConnection, demand_id: str) -> DemandCase | None:
    """The case of a demand; None until its first event has come."""
    columns = (case_states.c[name] for name in DemandCase._fields)
    row = (await connection.execute(select(*columns).where(case_states.c.case == demand_id))).one_or_none()
    return None if row is None else msgspec.convert(tuple(row), DemandCase)


_STORED = tuple(events.c[name] for name in StoredEvent._fields)


async def get_events_of(connection: AsyncConnection, xids: Sequence[int]) -> list[tuple[int, StoredEvent]]:
    """The events that these transactions accepted, each with its transaction, by when they happened."""
    query = select(events.c.xid, *_STORED).where(any_of(connection, events.c.xid, xids))
    rows = await connection.execute(query.order_by(events.c.xid, events.c.time, events.c.source, events.c.id))
    return [(xid, StoredEvent(*stored)) for xid, *stored in rows]


async def lock_lost_demands(connection: AsyncConnection, now: datetime, limit: int) -> list[StoredEvent]:
    """Demands that were published, have no case and are due to be published again, locked.

    Those that are still to be published are not lost; those that other copies have locked are left out.
    """
    is_unsent = exists().where(messaging_tables.unsent.c.xid == events.c.xid)
    query = (
        select(*_STORED)
        .where(events.c.republish_at < now, ~is_unsent)
        .order_by(events.c.republish_at)
        .limit(limit)
        .with_for_update(skip_locked=True, of=events)
    )
    return [StoredEvent(*row) for row in await connection.execute(query)]


async def count_unaccounted_demands(
    connection: AsyncConnection, now: datetime, after: timedelta = UNACCOUNTED_AFTER
) -> int:
    """How many demands were accepted longer than `after` ago and have no case."""
    unaccounted = events.c.republish_at.is_not(None) & (events.c.accepted_at < now - after)
    return int((await connection.execute(select(func.count()).where(unaccounted))).scalar_one())


_KEY_COLUMNS = tuple(api_keys.c[name] for name in IssuedKey._fields)


async def get_key(connection: AsyncConnection, key_id: str) -> IssuedKey | None:
    """A key that was issued."""
    row = (await connection.execute(select(*_KEY_COLUMNS).where(api_keys.c.id == key_id))).one_or_none()
    return None if row is None else IssuedKey(*row)


async def list_keys(connection: AsyncConnection, after: str | None) -> list[IssuedKey]:
    """Issued keys in the order of their issue, those after `after`."""
    query = select(*_KEY_COLUMNS).order_by(api_keys.c.id)
    if after:
        query = query.where(api_keys.c.id > after)
    return [IssuedKey(*row) for row in await connection.execute(query)]
