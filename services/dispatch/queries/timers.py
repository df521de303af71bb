"""Which cases are to be checked again, and when the next one is."""

from datetime import datetime

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.dispatch.models import cases


async def list_due_cases(connection: AsyncConnection, now: datetime, limit: int) -> list[str]:
    """Cases that are due at `now`, those due first."""
    query: Select[str] = select(cases.c.id).where(cases.c.due_at <= now)
    query = query.order_by(cases.c.due_at, cases.c.id).limit(limit)
    return list((await connection.execute(query)).scalars())


async def next_due_at(connection: AsyncConnection) -> datetime | None:
    """When the next case is due; None where none ever is."""
    is_set = cases.c.due_at.is_not(None)
    query: Select[datetime] = select(cases.c.due_at).where(is_set).order_by(cases.c.due_at).limit(1)
    return (await connection.execute(query)).scalar()
