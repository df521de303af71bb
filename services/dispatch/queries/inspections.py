"""Reads of inspections."""

from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct, convert
from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from services.dispatch.models import inspections

InspectionName = tuple[str, str]
"""A property, and the id of an inspection there."""


class RecordedInspection(Struct, frozen=True, kw_only=True):
    """The latest that was recorded of an inspection (`at` None: nothing yet), and the case that it opened."""

    property: str
    inspection: str
    at: datetime | None
    source: str | None
    event: str | None
    case_id: str | None


async def lock_inspections(
    connection: AsyncConnection, names: Iterable[InspectionName]
) -> dict[InspectionName, RecordedInspection]:
    """The inspections of these names, their rows locked in name order, so that no deadlock can arise."""
    key = (inspections.c.property, inspections.c.inspection)
    columns = (inspections.c[name] for name in RecordedInspection.__struct_fields__)
    query = select(*columns).where(tuple_(*key).in_(sorted(set(names)))).order_by(*key).with_for_update()
    rows = await connection.execute(query)
    recorded = [convert(row, RecordedInspection, from_attributes=True) for row in rows]
    return {(one.property, one.inspection): one for one in recorded}
