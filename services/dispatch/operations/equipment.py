"""Equipment: an alarm opens a repair of its own, the all-clear is told to it."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from msgspec.structs import replace
from sqlalchemy import func, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from services.dispatch import queries
from services.dispatch.domain.alarms import ENDS, SUBJECTS, EquipmentStateEntry, all_clears, faults_to_open
from services.dispatch.domain.case import Actor
from services.dispatch.domain.commands import CaseRequest, Command, OpenCase, RecordSystemAction
from services.dispatch.domain.opening import NewCase
from services.dispatch.domain.workflow.definition import FOLDED
from services.dispatch.models import equipment, equipment_states
from services.dispatch.operations.case_commands import CommandHost, execute_commands, raise_refusal
from shared.ids import new_id
from shared.messages.cloudevents import Event
from shared.properties.property import Property

Name = tuple[str, str]


async def register_equipment(connection: AsyncConnection, events: Sequence[Event]) -> None:
    """The first registration (by time) holds; registering again changes nothing."""
    first: dict[Name, Event] = {}
    for event in sorted(events, key=lambda event: (event.time, event.source, event.id), reverse=True):
        first[event.data.property, event.data.equipment] = event
    rows = [
        {
            "property": prop,
            "equipment": name,
            "system": event.data.system,
            "critical": event.data.critical,
            "registered_at": event.time,
        }
        for (prop, name), event in sorted(first.items())
    ]
    if not rows:
        return
    statement = _insert(connection, equipment)
    earlier = equipment.c.registered_at.is_(None)
    earlier |= equipment.c.registered_at > statement.excluded.registered_at
    statement = statement.on_conflict_do_update(
        index_elements=[equipment.c.property, equipment.c.equipment],
        set_={name: statement.excluded[name] for name in ("system", "critical", "registered_at")},
        where=earlier,
    )
    await connection.execute(statement, rows)


async def record_equipment_states(
    connection: AsyncConnection, host: CommandHost, events: Sequence[Event], now: datetime
) -> None:
    """Keep the states; open and tell what follows from them."""
    if not events:
        return
    by_name: dict[Name, list[Event]] = {}
    for event in events:
        by_name.setdefault((event.data.property, event.data.equipment), []).append(event)
    known = await _lock_equipment(connection, by_name)
    await _save_states(connection, events)
    commands: list[Command] = []
    for name, told in sorted(by_name.items()):
        prop = host.catalog.property(name[0])
        commands += await _commands_for(
            connection, host, prop, known[name], min(event.time for event in told)
        )
    raise_refusal(await execute_commands(connection, host, commands, now))


async def _lock_equipment(connection: AsyncConnection, names: Iterable[Name]) -> dict[Name, Any]:
    """The rows of the equipment, made where they are missing, held: copies take turns on one piece."""
    ordered = sorted(names)
    rows = [{"property": prop, "equipment": name, "critical": False} for prop, name in ordered]
    await connection.execute(_insert(connection, equipment).on_conflict_do_nothing(), rows)
    query = select(equipment).where(tuple_(equipment.c.property, equipment.c.equipment).in_(ordered))
    query = query.order_by(equipment.c.property, equipment.c.equipment).with_for_update()
    return {(row.property, row.equipment): row for row in await connection.execute(query)}


async def _save_states(connection: AsyncConnection, events: Iterable[Event]) -> None:
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
    await connection.execute(_insert(connection, equipment_states).on_conflict_do_nothing(), rows)


async def _commands_for(
    connection: AsyncConnection, host: CommandHost, prop: Property, row: Any, since: datetime
) -> list[Command]:
    """What the states of one piece of equipment, from `since` on, call for."""
    states = await _states(connection, row, since)
    finished = await _finished(connection, host, [state.case for state in states if state.case])
    commands: list[Command] = []
    for fault in faults_to_open(states, finished):
        opened = _opening_command(prop, row, fault)
        commands.append(opened)
        states = [replace(s, case=opened.new.id) if s.place == fault.place else s for s in states]
        await _link_state_to_case(connection, row, fault, opened.new.id)
    for state, case in all_clears(states):
        commands.append(RecordSystemAction(case=case, action="all_clear", at=state.at))
        await _link_state_to_case(connection, row, state, case)
    return commands


async def _states(connection: AsyncConnection, row: Any, since: datetime) -> list[EquipmentStateEntry]:
    """The states from the last end before `since` on: no alarm reaches further back."""
    table = equipment_states
    this = (table.c.property == row.property) & (table.c.equipment == row.equipment)
    ended = select(func.max(table.c.at)).where(this, table.c.state.in_(ENDS), table.c.at < since)
    query = select(table).where(this)
    last: datetime | None = (await connection.execute(ended)).scalar()
    if last is not None:
        query = query.where(table.c.at >= last)
    return [
        EquipmentStateEntry(
            at=s.at, source=s.source, event=s.event, state=s.state, alarm=s.alarm, case=s.case_id
        )
        for s in await connection.execute(query)
    ]


async def _finished(
    connection: AsyncConnection, host: CommandHost, ids: Sequence[str]
) -> dict[str, datetime]:
    """Since when those of the repairs are finished that are."""
    found = await queries.get_cases(connection, ids) if ids else []
    done = {}
    for case, _ in found:
        workflow = host.catalog.of(case)
        worked_on = workflow.is_open(case.state) and case.state != workflow.follow_up.state
        if not worked_on and case.state != FOLDED:
            done[case.id] = case.done_at or case.ended_at or case.at
    return done


def _opening_command(prop: Property, row: Any, fault: EquipmentStateEntry) -> OpenCase:
    listed = next((item for item in prop.equipment if item.id == row.equipment), None)
    system = row.system or (listed.system if listed else None)
    critical = row.critical or (listed is not None and listed.critical)
    zh, en = (
        (listed.name or row.equipment, listed.name_en or row.equipment) if listed else (row.equipment,) * 2
    )
    new = NewCase(
        id=new_id(),
        property=prop.id,
        kind="repair",
        raised_at=fault.at,
        actor=Actor(person=fault.source, recorded_by="system"),
        priority="urgent" if critical else "high",
        subject=SUBJECTS.get(system, system) if system else None,
        equipment=row.equipment,
        data={"equipment": row.equipment},
    )
    summary = f"设备告警：{zh}" if prop.language == "zh-CN" else f"Equipment alarm: {en}"
    told = {"equipment": row.equipment, "system": system}
    return OpenCase(
        new=new, request=CaseRequest(summary=summary, source=fault.source, channel="alarm", details=told)
    )


async def _link_state_to_case(
    connection: AsyncConnection, row: Any, state: EquipmentStateEntry, case: str
) -> None:
    table = equipment_states
    this = (
        (table.c.property == row.property)
        & (table.c.equipment == row.equipment)
        & (table.c.at == state.at)
        & (table.c.source == state.source)
        & (table.c.event == state.event)
    )
    await connection.execute(update(table).where(this).values(case_id=case))


def _insert(connection: AsyncConnection, table: Any) -> Any:
    return (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)
