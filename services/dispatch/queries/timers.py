"""Reads of timers: which cases are due, and when the next one is."""

from datetime import datetime

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.dispatch.models import timers


async def list_due_cases(connection: AsyncConnection, now: datetime, limit: int) -> list[str]:
    """Cases of which a timer is due at `now`, those due first; of the first `limit` timers."""
    query: Select[str] = select(timers.c.case_id).where(timers.c.due_at <= now)
    query = query.order_by(timers.c.due_at, timers.c.case_id).limit(limit)
    return list(dict.fromkeys((await connection.execute(query)).scalars()))


async def next_due_at(connection: AsyncConnection) -> datetime | None:
    """When the next timer is due; None where there is none."""
    query: Select[datetime] = select(timers.c.due_at).order_by(timers.c.due_at).limit(1)
    return (await connection.execute(query)).scalar()
