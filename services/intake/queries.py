"""What intake tells: a demand and what became of it, and the keys that were issued."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.intake.models import api_keys, case_states, demands, events


async def get_demand(connection: AsyncConnection, demand_id: str) -> Row[Any] | None:
    """The demand with its event and the state of its case."""
    query = (
        select(
            demands,
            events.c.data,
            case_states.c.number,
            case_states.c.state,
            case_states.c.open,
            case_states.c.deadlines,
            case_states.c.changed_at,
        )
        .join(events, (events.c.source == demands.c.source) & (events.c.id == demands.c.event))
        .outerjoin(case_states, case_states.c.case == demands.c.id)
        .where(demands.c.id == demand_id)
    )
    return (await connection.execute(query)).one_or_none()


async def count_unaccounted_demands(connection: AsyncConnection, now: datetime, after: timedelta) -> int:
    """How many demands were accepted more than `after` ago and have no case."""
    waiting = demands.c.opened_at.is_(None) & (demands.c.accepted_at < now - after)
    return int((await connection.execute(select(func.count()).where(waiting))).scalar_one())


async def get_key(connection: AsyncConnection, key_id: str) -> Row[Any] | None:
    """A key that was issued."""
    return (await connection.execute(select(api_keys).where(api_keys.c.id == key_id))).one_or_none()


async def list_keys(connection: AsyncConnection, after: str | None) -> Sequence[Row[Any]]:
    """Issued keys in the order of their issue, those after `after`."""
    query = select(api_keys).order_by(api_keys.c.id)
    if after:
        query = query.where(api_keys.c.id > after)
    return (await connection.execute(query)).all()
