"""What intake reads: accepted events, demands and what became of them, the keys that were issued."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec
from sqlalchemy import func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from services.intake.models import api_keys, case_states, demands, events
from shared.messages.events import DeadlineStatus
from shared.messages.facts import DemandRaised

UNACCOUNTED_AFTER = timedelta(seconds=30)
"""After so long a demand without a case is published again, and counted as unaccounted for."""
_raised = msgspec.json.Decoder(DemandRaised)


class AcceptedEvent(NamedTuple):
    """What was accepted under a name."""

    digest: bytes
    demand: str | None


class DemandCase(NamedTuple):
    """The state of a demand's case, as far as it was heard of."""

    number: str
    state: str
    open: bool
    deadlines: list[DeadlineStatus]


class StoredDemand(NamedTuple):
    """A demand with what was said in it; `case` None until one is heard of."""

    id: str
    property: str
    source: str
    event: str
    accepted_by: str
    raised_at: datetime
    accepted_at: datetime
    raised: DemandRaised
    case: DemandCase | None


class LostDemand(NamedTuple):
    """A demand that was accepted a while ago and has no case."""

    id: str
    source: str
    raised_at: datetime
    accepted_at: datetime
    raised: DemandRaised


class IssuedKey(NamedTuple):
    """A key that was issued; `properties` None: all."""

    id: str
    name: str
    roles: list[str]
    properties: list[str] | None
    person: str | None
    issued_at: datetime
    revoked_at: datetime | None


async def accepted_events(
    connection: AsyncConnection, names: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], AcceptedEvent]:
    """What was accepted under each of `names`."""
    if not names:
        return {}
    query = select(events.c.source, events.c.id, events.c.digest, events.c.demand)
    rows = await connection.execute(query.where(tuple_(events.c.source, events.c.id).in_(names)))
    return {(row.source, row.id): AcceptedEvent(row.digest, row.demand) for row in rows}


async def get_demand(connection: AsyncConnection, demand_id: str) -> StoredDemand | None:
    """The demand with its event and the state of its case."""
    query = (
        select(demands, events.c.data, *(case_states.c[name] for name in DemandCase._fields))
        .join(events, (events.c.source == demands.c.source) & (events.c.id == demands.c.event))
        .outerjoin(case_states, case_states.c.case == demands.c.id)
        .where(demands.c.id == demand_id)
    )
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        return None
    case = None
    if row.number is not None:
        deadlines = msgspec.convert(row.deadlines, list[DeadlineStatus])
        case = DemandCase(row.number, row.state, row.open, deadlines)
    return StoredDemand(
        row.id, row.property, row.source, row.event, row.accepted_by, row.raised_at, row.accepted_at,
        _raised.decode(row.data), case,
    )  # fmt: skip


async def lock_lost_demands(connection: AsyncConnection, now: datetime, most: int) -> list[LostDemand]:
    """Demands without a case that were not published for a while, locked; those of other copies left out."""
    query = (
        select(demands.c.id, demands.c.source, demands.c.raised_at, demands.c.accepted_at, events.c.data)
        .join(events, (events.c.source == demands.c.source) & (events.c.id == demands.c.event))
        .where(demands.c.opened_at.is_(None), demands.c.asked_at < now - UNACCOUNTED_AFTER)
        .order_by(demands.c.asked_at)
        .limit(most)
        .with_for_update(skip_locked=True, of=demands)
    )
    rows = await connection.execute(query)
    return [
        LostDemand(row.id, row.source, row.raised_at, row.accepted_at, _raised.decode(row.data))
        for row in rows
    ]


async def count_unaccounted_demands(
    connection: AsyncConnection, now: datetime, after: timedelta = UNACCOUNTED_AFTER
) -> int:
    """How many demands were accepted longer than `after` ago and have no case."""
    waiting = demands.c.opened_at.is_(None) & (demands.c.accepted_at < now - after)
    return int((await connection.execute(select(func.count()).where(waiting))).scalar_one())


_KEY = tuple(api_keys.c[name] for name in IssuedKey._fields)


async def get_key(connection: AsyncConnection, key_id: str) -> IssuedKey | None:
    """A key that was issued."""
    row = (await connection.execute(select(*_KEY).where(api_keys.c.id == key_id))).one_or_none()
    return None if row is None else IssuedKey(*row)


async def list_keys(connection: AsyncConnection, after: str | None) -> list[IssuedKey]:
    """Issued keys in the order of their issue, those after `after`."""
    query = select(*_KEY).order_by(api_keys.c.id)
    if after:
        query = query.where(api_keys.c.id > after)
    return [IssuedKey(*row) for row in await connection.execute(query)]
