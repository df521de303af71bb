"""Reads of equipment and of the states that were reported of it."""

from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct, convert
from sqlalchemy import Select, and_, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from services.dispatch.domain.alarms import ENDS, EquipmentStateEntry
from services.dispatch.models import equipment, equipment_states

EquipmentName = tuple[str, str]
"""A property, and the id of a piece of equipment there."""


class RegisteredEquipment(Struct, frozen=True, kw_only=True):
    """A piece of equipment with what it was registered with."""

    property: str
    equipment: str
    system: str | None
    critical: bool


async def lock_equipment(
    connection: AsyncConnection, names: Iterable[EquipmentName]
) -> dict[EquipmentName, RegisteredEquipment]:
    """The pieces of these names, their rows locked in name order, so that no deadlock can arise."""
    key = (equipment.c.property, equipment.c.equipment)
    columns = (equipment.c[name] for name in RegisteredEquipment.__struct_fields__)
    query = select(*columns).where(tuple_(*key).in_(sorted(set(names)))).order_by(*key).with_for_update()
    rows = await connection.execute(query)
    pieces = [convert(row, RegisteredEquipment, from_attributes=True) for row in rows]
    return {(piece.property, piece.equipment): piece for piece in pieces}


async def list_states(
    connection: AsyncConnection, name: EquipmentName, since: datetime
) -> list[EquipmentStateEntry]:
    """The states of a piece from the last end before `since` on: no alarm reaches further back."""
    table = equipment_states.c
    property_id, equipment_id = name
    is_named = and_(table.property == property_id, table.equipment == equipment_id)
    last_end: Select[datetime] = select(func.max(table.at)).where(
        is_named, table.state.in_(ENDS), table.at < since
    )
    columns = (table.at, table.source, table.event, table.state, table.alarm, table.case_id.label("case"))
    query = select(*columns).where(is_named)
    start = (await connection.execute(last_end)).scalar()
    if start is not None:
        query = query.where(table.at >= start)
    rows = await connection.execute(query)
    return [convert(row, EquipmentStateEntry, from_attributes=True) for row in rows]
