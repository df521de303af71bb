"""Equipment: an alarm opens a repair of its own, the next intact state is recorded there as the all-clear."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from msgspec.structs import replace
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.dispatch.domain.alarms import (
    SUBJECTS,
    EquipmentStateEntry,
    find_all_clears,
    find_faults_to_open,
)
from services.dispatch.domain.case import Actor
from services.dispatch.domain.commands import CaseRequest, Command, OpenCase, RecordSystemAction
from services.dispatch.domain.opening import NewCase
from services.dispatch.domain.workflow.definition import FOLDED
from services.dispatch.models import equipment, equipment_states
from services.dispatch.operations.case_commands import CommandHost, execute_commands, raise_refusal
from services.dispatch.queries.cases import get_cases
from services.dispatch.queries.equipment import (
    EquipmentName,
    RegisteredEquipment,
    list_states,
    lock_equipment,
)
from shared.database.bulk import BulkInsert
from shared.ids import new_id
from shared.messages.cloudevents import Event
from shared.messages.facts import EquipmentRegistered, EquipmentState
from shared.properties.property import Property

_UPSERT_EQUIPMENT = BulkInsert(
    equipment,
    lambda insert: insert.on_conflict_do_update(
        index_elements=[equipment.c.property, equipment.c.equipment],
        set_={name: insert.excluded[name] for name in ("system", "critical", "registered_at")},
        where=equipment.c.registered_at.is_(None)
        | (equipment.c.registered_at > insert.excluded.registered_at),
    ),
)
_INSERT_UNREGISTERED = BulkInsert(
    equipment, lambda insert: insert.on_conflict_do_nothing(), omit=("system", "registered_at")
)
_INSERT_STATES = BulkInsert(
    equipment_states, lambda insert: insert.on_conflict_do_nothing(), omit=("case_id",)
)


async def register_equipment(
    connection: AsyncConnection, events: Sequence[Event[EquipmentRegistered]]
) -> None:
    """The first registration (by time) holds; registering again changes nothing."""
    first: dict[EquipmentName, Event[EquipmentRegistered]] = {}
    for event in sorted(events, key=lambda event: (event.time, event.source, event.id), reverse=True):
        first[event.data.property, event.data.equipment] = event
    rows = [
        {
            "property": property_id,
            "equipment": equipment_id,
            "system": event.data.system,
            "critical": event.data.critical,
            "registered_at": event.time,
        }
        for (property_id, equipment_id), event in sorted(first.items())
    ]
    if rows:
        await _UPSERT_EQUIPMENT.execute(connection, rows)


async def record_equipment_states(
    connection: AsyncConnection, host: CommandHost, events: Sequence[Event[EquipmentState]], now: datetime
) -> None:
    """Keep the states; open repairs and record all-clears as they follow from them."""
    if not events:
        return
    since: dict[EquipmentName, datetime] = {}
    for event in events:
        name = (event.data.property, event.data.equipment)
        since[name] = min(event.time, since.get(name, event.time))
    pieces = await _lock_or_insert_equipment(connection, since)
    await _save_states(connection, events)
    commands: list[Command] = []
    for name, earliest in sorted(since.items()):
        commands += await _commands_for(connection, host, pieces[name], earliest)
    raise_refusal(await execute_commands(connection, host, commands, now))


async def _lock_or_insert_equipment(
    connection: AsyncConnection, names: Iterable[EquipmentName]
) -> dict[EquipmentName, RegisteredEquipment]:
    """The rows of the equipment, inserted where they are missing, locked: copies take turns on one piece."""
    ordered = sorted(names)
    rows = [{"property": prop, "equipment": name, "critical": False} for prop, name in ordered]
    await _INSERT_UNREGISTERED.execute(connection, rows)
    return await lock_equipment(connection, ordered)


async def _save_states(connection: AsyncConnection, events: Iterable[Event[EquipmentState]]) -> None:
    rows = [
        {
            "property": event.data.property,
            "equipment": event.data.equipment,
            "at": event.time,
            "source": event.source,
            "event": event.id,
            "state": event.data.state,
            "alarm": event.data.alarm,
        }
        for event in events
    ]
    await _INSERT_STATES.execute(connection, rows)


async def _commands_for(
    connection: AsyncConnection, host: CommandHost, piece: RegisteredEquipment, since: datetime
) -> list[Command]:
    """What the states of one piece of equipment, from `since` on, call for."""
    states = await list_states(connection, (piece.property, piece.equipment), since)
    finished = await _finished_repairs(connection, host, [state.case for state in states if state.case])
    commands: list[Command] = []
    for fault in find_faults_to_open(states, finished):
        opening = _opening_command(host.catalog.get_property(piece.property), piece, fault)
        commands.append(opening)
        states = [
            replace(state, case=opening.new.id) if state.sort_key == fault.sort_key else state
            for state in states
        ]
        await _link_state_to_case(connection, piece, fault, opening.new.id)
    for state, case in find_all_clears(states):
        commands.append(RecordSystemAction(case=case, action="all_clear", at=state.at))
        await _link_state_to_case(connection, piece, state, case)
    return commands


async def _finished_repairs(
    connection: AsyncConnection, host: CommandHost, ids: Sequence[str]
) -> dict[str, datetime]:
    """Since when those of the repairs are finished that are."""
    repairs = [case for case, _ in await get_cases(connection, ids)] if ids else []
    return {
        case.id: case.done_at or case.ended_at or case.at
        for case in repairs
        if case.state != FOLDED and not host.catalog.is_worked_on(case)
    }


def _opening_command(prop: Property, piece: RegisteredEquipment, fault: EquipmentStateEntry) -> OpenCase:
    name, name_en, system, critical = piece.equipment, piece.equipment, piece.system, piece.critical
    listed = next((item for item in prop.equipment if item.id == piece.equipment), None)
    if listed is not None:
        name, name_en = listed.name or name, listed.name_en or name_en
        system, critical = system or listed.system, critical or listed.critical
    new = NewCase(
        id=new_id(),
        property=prop.id,
        kind="repair",
        raised_at=fault.at,
        actor=Actor(person=fault.source, recorded_by="system"),
        priority="urgent" if critical else "high",
        subject=SUBJECTS.get(system, system) if system else None,
        equipment=piece.equipment,
        data={"equipment": piece.equipment},
    )
    summary = f"设备告警：{name}" if prop.language == "zh-CN" else f"Equipment alarm: {name_en}"
    details = {"equipment": piece.equipment, "system": system}
    request = CaseRequest(summary=summary, source=fault.source, channel="alarm", details=details)
    return OpenCase(new=new, request=request)


async def _link_state_to_case(
    connection: AsyncConnection, piece: RegisteredEquipment, state: EquipmentStateEntry, case: str
) -> None:
    table = equipment_states
    is_state = (
        (table.c.property == piece.property)
        & (table.c.equipment == piece.equipment)
        & (table.c.at == state.at)
        & (table.c.source == state.source)
        & (table.c.event == state.event)
    )
    await connection.execute(update(table).where(is_state).values(case_id=case))
