"""Facts that open work: alarms of equipment, failed inspections; and what residents are registered with."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from services.dispatch.operations.apply import House
from services.dispatch.operations.equipment import register_equipment, take_states
from services.dispatch.operations.inspections import take_inspections
from services.dispatch.operations.residents import register_residents
from shared.messages import (
    EquipmentRegistered,
    EquipmentState,
    Event,
    InspectionRecorded,
    ResidentRegistered,
)


async def take_facts(
    connection: AsyncConnection, house: House, events: Sequence[Event], now: datetime
) -> None:
    """Take every fact of a set; the order among them makes no difference."""
    await register_residents(connection, _of(events, ResidentRegistered))
    await register_equipment(connection, _of(events, EquipmentRegistered))
    await take_states(connection, house, _of(events, EquipmentState), now)
    await take_inspections(connection, house, _of(events, InspectionRecorded), now)


def _of(events: Iterable[Event], shape: type) -> list[Event]:
    return [event for event in events if isinstance(event.data, shape)]
