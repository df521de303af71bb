"""Inspections: one that did not pass whole opens the work that mends it, once; a correction is told to it."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from services.dispatch.domain.case import Actor
from services.dispatch.domain.commands import CaseRequest, Command, OpenCase, RecordSystemAction
from services.dispatch.domain.opening import NewCase
from services.dispatch.models import inspections
from services.dispatch.operations.case_commands import CommandHost, execute_commands, raise_refusal
from shared.ids import new_id
from shared.messages.cloudevents import Event
from shared.messages.facts import InspectionRecorded
from shared.properties.property import Property

Name = tuple[str, str]
_LINES = {
    "cleaning": ("保洁", "cleaning"),
    "greening": ("绿化", "greening"),
    "security": ("安保", "security"),
}


async def record_inspections(
    connection: AsyncConnection, host: CommandHost, events: Sequence[Event], now: datetime
) -> None:
    """Take the latest of each inspection, by its time; what was heard late and is older changes nothing."""
    latest: dict[Name, Event] = {}
    for event in sorted(events, key=_event_order):
        latest[event.data.property, event.data.inspection] = event
    if not latest:
        return
    known = await _lock_inspections(connection, latest)
    commands: list[Command] = []
    for name, event in sorted(latest.items()):
        row = known[name]
        if row.at is None or _event_order(event) > (row.at, row.source, row.event):
            commands += await _record_inspection(connection, host, row, event)
    raise_refusal(await execute_commands(connection, host, commands, now))


def _event_order(event: Event) -> tuple[datetime, str, str]:
    return event.time, event.source, event.id


async def _record_inspection(
    connection: AsyncConnection, host: CommandHost, row: Any, event: Event
) -> list[Command]:
    data: InspectionRecorded = event.data
    case: str | None = row.case_id
    commands: list[Command] = []
    if data.passed < data.checked and case is None:
        opened = _opening_command(host.catalog.property(data.property), event)
        case = opened.new.id
        commands.append(opened)
    elif data.passed == data.checked and case is not None:
        commands.append(RecordSystemAction(case=case, action="all_clear", at=event.time, trace=event.trace))
    values = {"at": event.time, "source": event.source, "event": event.id, "case_id": case}
    this = (inspections.c.property == row.property) & (inspections.c.inspection == row.inspection)
    await connection.execute(update(inspections).where(this).values(values))
    return commands


def _opening_command(prop: Property, event: Event) -> OpenCase:
    """A request of the management office: what was found wanting is put right and followed up."""
    data: InspectionRecorded = event.data
    zh, en = _LINES[data.line]
    left = data.checked - data.passed
    new = NewCase(
        id=new_id(),
        property=prop.id,
        kind="help",
        raised_at=event.time,
        actor=Actor(person=event.source, recorded_by="system"),
        subject=data.line,
        line=data.line,
        perspective="management",
        data={"inspection": data.inspection},
    )
    summary = (
        f"{zh}检查不合格 {left} 处，请整改"
        if prop.language == "zh-CN"
        else f"{left} points of {en} did not pass inspection: to be put right"
    )
    told = {"inspection": data.inspection, "checked": data.checked, "passed": data.passed}
    request = CaseRequest(summary=summary, source=event.source, channel="inspection", details=told)
    return OpenCase(new=new, request=request, trace=event.trace)


async def _lock_inspections(connection: AsyncConnection, names: Iterable[Name]) -> dict[Name, Any]:
    ordered = sorted(names)
    rows = [{"property": prop, "inspection": name} for prop, name in ordered]
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    await connection.execute(dialect.insert(inspections).on_conflict_do_nothing(), rows)
    query = select(inspections).where(tuple_(inspections.c.property, inspections.c.inspection).in_(ordered))
    query = query.order_by(inspections.c.property, inspections.c.inspection).with_for_update()
    return {(row.property, row.inspection): row for row in await connection.execute(query)}
