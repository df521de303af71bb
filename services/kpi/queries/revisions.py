"""How often the items of each property have changed."""

from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.kpi.models import revisions


async def load_revisions(connection: AsyncConnection) -> Mapping[str, int]:
    """Of every property that ever had an item: a number that is another after every change of its items."""
    rows = await connection.execute(select(revisions.c.property, revisions.c.revision))
    return dict(rows.all())
