"""Whether each target was last published as met."""

from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.kpi.models import standings


class Standing(NamedTuple):
    """Whether a rate was last published as met."""

    kpi: str
    met: bool


async def load_standings(connection: AsyncConnection, property_id: str) -> Mapping[str, bool]:
    """By rate; one that never had a sample is left out."""
    query = select(standings.c.kpi, standings.c.met).where(standings.c.property == property_id)
    rows = [Standing(*row) for row in await connection.execute(query)]
    return {row.kpi: row.met for row in rows}
