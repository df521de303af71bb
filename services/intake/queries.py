"""What intake reads: accepted events, demands and their cases, the keys that were issued."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec
from sqlalchemy import func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from services.intake.models import api_keys, case_states, events
from shared.messages.events import DeadlineStatus
from shared.messages.facts import DemandRaised

UNACCOUNTED_AFTER = timedelta(seconds=30)
"""After so long a demand without a case is published once more, and counted as unaccounted for."""
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
    data: bytes

    def decode_data(self) -> DemandRaised:
        """What was posted."""
        return _raised.decode(self.data)


class LostDemand(NamedTuple):
    """A demand that was accepted a while ago and has no case."""

    demand: str
    source: str
    time: datetime
    accepted_at: datetime
    data: bytes

    def decode_data(self) -> DemandRaised:
        """What was posted."""
        return _raised.decode(self.data)


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


async def lock_lost_demands(connection: AsyncConnection, now: datetime, limit: int) -> list[LostDemand]:
    """Demands without a case that were not published for a while, locked; those of other copies left out."""
    query = (
        select(*(events.c[name] for name in LostDemand._fields))
        .where(events.c.case_awaited_since < now - UNACCOUNTED_AFTER)
        .order_by(events.c.case_awaited_since)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return [LostDemand(*row) for row in await connection.execute(query)]


async def count_unaccounted_demands(
    connection: AsyncConnection, now: datetime, after: timedelta = UNACCOUNTED_AFTER
) -> int:
    """How many demands were accepted longer than `after` ago and have no case."""
    unaccounted = events.c.case_awaited_since.is_not(None) & (events.c.accepted_at < now - after)
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
