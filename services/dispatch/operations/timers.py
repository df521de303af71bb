"""Writes of timers beside those that follow from a case."""

from datetime import datetime

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.dispatch.models import timers


async def postpone_timers(connection: AsyncConnection, case_id: str, due_at: datetime) -> None:
    """Let all timers of the case be due at `due_at`."""
    await connection.execute(update(timers).where(timers.c.case_id == case_id).values(due_at=due_at))
