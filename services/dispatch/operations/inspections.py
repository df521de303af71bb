"""Inspections: one that did not pass as a whole opens the work that corrects it, once; a later pass is
recorded there as the all-clear."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.dispatch.domain.case import Actor
from services.dispatch.domain.commands import CaseRequest, Command, OpenCase, RecordSystemAction
from services.dispatch.domain.opening import NewCase
from services.dispatch.models import inspections
from services.dispatch.operations.case_commands import CommandHost, execute_commands, raise_refusal
from services.dispatch.queries.inspections import InspectionName, RecordedInspection, lock_inspections
from shared.database.bulk import BulkInsert
from shared.ids import new_id
from shared.messages.cloudevents import Event
from shared.messages.facts import InspectionRecorded
from shared.properties.property import Property

InspectionEvent = Event[InspectionRecorded]
_LINES = {
    "cleaning": ("保洁", "cleaning"),
    "greening": ("绿化", "greening"),
    "security": ("安保", "security"),
}
_INSERT_NAMES = BulkInsert(
    inspections,
    lambda insert: insert.on_conflict_do_nothing(),
    omit=("at", "source", "event", "case_id"),
)


async def record_inspections(
    connection: AsyncConnection, host: CommandHost, events: Sequence[InspectionEvent], now: datetime
) -> None:
    """Keep the latest of each inspection, by its time; what comes late and is older changes nothing."""
    latest: dict[InspectionName, InspectionEvent] = {}
    for event in sorted(events, key=_event_order):
        latest[event.data.property, event.data.inspection] = event
    if not latest:
        return
    recorded = await _lock_or_insert_inspections(connection, latest)
    commands: list[Command] = []
    for name, event in sorted(latest.items()):
        if _is_newer(event, recorded[name]):
            commands += await _record_inspection(connection, host, recorded[name], event)
    raise_refusal(await execute_commands(connection, host, commands, now))


def _event_order(event: InspectionEvent) -> tuple[datetime, str, str]:
    return event.time, event.source, event.id


def _is_newer(event: InspectionEvent, recorded: RecordedInspection) -> bool:
    if recorded.at is None:
        return True
    return _event_order(event) > (recorded.at, recorded.source or "", recorded.event or "")


async def _record_inspection(
    connection: AsyncConnection, host: CommandHost, recorded: RecordedInspection, event: InspectionEvent
) -> list[Command]:
    data = event.data
    case = recorded.case_id
    commands: list[Command] = []
    if data.passed < data.checked and case is None:
        opening = _opening_command(host.catalog.get_property(data.property), event)
        case = opening.new.id
        commands.append(opening)
    elif data.passed == data.checked and case is not None:
        commands.append(RecordSystemAction(case=case, action="all_clear", at=event.time, trace=event.trace))
    await _save_inspection(connection, event, case)
    return commands


async def _save_inspection(connection: AsyncConnection, event: InspectionEvent, case: str | None) -> None:
    data = event.data
    is_named = (inspections.c.property == data.property) & (inspections.c.inspection == data.inspection)
    values = {"at": event.time, "source": event.source, "event": event.id, "case_id": case}
    await connection.execute(update(inspections).where(is_named).values(values))


def _opening_command(prop: Property, event: InspectionEvent) -> OpenCase:
    """A request of the management office: what did not pass is corrected and followed up."""
    data = event.data
    line_zh, line_en = _LINES[data.line]
    failed = data.checked - data.passed
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
        f"{line_zh}检查不合格 {failed} 处，请整改"
        if prop.language == "zh-CN"
        else f"{failed} points of {line_en} did not pass inspection: to be put right"
    )
    details = {"inspection": data.inspection, "checked": data.checked, "passed": data.passed}
    request = CaseRequest(summary=summary, source=event.source, channel="inspection", details=details)
    return OpenCase(new=new, request=request, trace=event.trace)


async def _lock_or_insert_inspections(
    connection: AsyncConnection, names: Iterable[InspectionName]
) -> dict[InspectionName, RecordedInspection]:
    """The rows of the inspections, inserted where they are missing, locked: copies take turns on each."""
    ordered = sorted(names)
    await _INSERT_NAMES.execute(
        connection, [{"property": prop, "inspection": name} for prop, name in ordered]
    )
    return await lock_inspections(connection, ordered)
