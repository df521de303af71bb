"""Writes of when to check a case that can't be checked now."""

from datetime import datetime

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.dispatch.models import cases


async def postpone_check(connection: AsyncConnection, case_id: str, due_at: datetime) -> None:
    """Let the case be due at `due_at`."""
    await connection.execute(update(cases).where(cases.c.id == case_id).values(due_at=due_at))
