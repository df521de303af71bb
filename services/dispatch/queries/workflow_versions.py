"""Reads of the workflow definitions that cases began with."""

from msgspec import Struct, convert
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.dispatch.models import workflow_versions


class StoredDefinition(Struct, frozen=True, kw_only=True):
    """A version of a workflow as its file said it."""

    name: str
    version: int
    digest: str
    definition: str


async def list_definitions(connection: AsyncConnection) -> list[StoredDefinition]:
    """Every version that a case may have begun with."""
    columns = (workflow_versions.c[name] for name in StoredDefinition.__struct_fields__)
    rows = await connection.execute(select(*columns))
    return [convert(row, StoredDefinition, from_attributes=True) for row in rows]
