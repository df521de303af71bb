"""Facts that open work: alarms of equipment, failed inspections; and what residents are registered with."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from services.dispatch.operations.case_commands import CommandHost
from services.dispatch.operations.equipment import record_equipment_states, register_equipment
from services.dispatch.operations.inspections import record_inspections
from services.dispatch.operations.residents import register_residents
from shared.messages.cloudevents import Event, select_events
from shared.messages.facts import EquipmentRegistered, EquipmentState, InspectionRecorded, ResidentRegistered


async def record_facts(
    connection: AsyncConnection, host: CommandHost, events: Sequence[Event], now: datetime
) -> None:
    """Record every fact of a batch; the order among them makes no difference."""
    await register_residents(connection, select_events(events, ResidentRegistered))
    await register_equipment(connection, select_events(events, EquipmentRegistered))
    await record_equipment_states(connection, host, select_events(events, EquipmentState), now)
    await record_inspections(connection, host, select_events(events, InspectionRecorded), now)
