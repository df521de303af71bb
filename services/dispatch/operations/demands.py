"""Demands that were accepted open cases, those taken back withdraw them, whichever is heard first."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, or_, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from services.dispatch.domain.case import Actor
from services.dispatch.domain.commands import CaseRequest, Command, OpenCase, WithdrawCase
from services.dispatch.domain.opening import NewCase
from services.dispatch.domain.workflow_catalog import WorkflowCatalog
from services.dispatch.models import cases, residents, withdrawals
from services.dispatch.operations.case_commands import CommandHost, execute_commands, raise_refusal
from shared.messages.cloudevents import Event
from shared.messages.events import DemandAccepted
from shared.messages.facts import DemandWithdrawn

RESIDENT = "resident"
"""How whoever asked stands in a history: no name."""
Tiers = dict[tuple[str, str], tuple[str | None, str | None]]


async def open_and_withdraw(
    connection: AsyncConnection, host: CommandHost, events: Sequence[Event], now: datetime
) -> None:
    """Open a case for every accepted demand; withdraw those taken back; keep what can't be matched yet."""
    accepted = [event for event in events if isinstance(event.data, DemandAccepted)]
    withdrawn = [event for event in events if isinstance(event.data, DemandWithdrawn)]
    tiers = await _tiers(connection, [event.data for event in accepted])
    commands: list[Command] = [opening_command(host.catalog, event, tiers) for event in accepted]
    if withdrawn:
        await _save_withdrawals(connection, withdrawn, now)
    kept = await _get_withdrawals(connection, [event.data for event in accepted]) if accepted else []
    opened = {_reference(event.data): event.data.demand for event in accepted}
    matched = [(row, row.demand or opened.get((row.property, row.source, row.reference))) for row in kept]
    commands += [_withdrawal_command(row, case) for row, case in matched if case is not None]
    raise_refusal(await execute_commands(connection, host, commands, now))
    await _delete_withdrawals(connection, [row for row, case in matched if case is not None])
    if withdrawn:
        await match_withdrawals(connection, host, now)


async def match_withdrawals(connection: AsyncConnection, host: CommandHost, now: datetime) -> int:
    """Withdraw the cases of demands that were taken back before they came; how many were matched."""
    by_id = (withdrawals.c.demand == cases.c.id) & (withdrawals.c.property == cases.c.property)
    by_reference = (
        withdrawals.c.demand.is_(None)
        & (withdrawals.c.property == cases.c.property)
        & (withdrawals.c.source == cases.c.source)
        & (withdrawals.c.reference == cases.c.reference)
    )
    query = select(withdrawals, cases.c.id.label("case_id")).where(or_(by_id, by_reference)).limit(200)
    rows = (await connection.execute(query)).all()
    if rows:
        await execute_commands(connection, host, [_withdrawal_command(row, row.case_id) for row in rows], now)
        await _delete_withdrawals(connection, rows)
    return len(rows)


def opening_command(catalog: WorkflowCatalog, event: Event, tiers: Tiers) -> OpenCase:
    """The command that opens the case of an accepted demand."""
    data: DemandAccepted = event.data
    prop = catalog.property(data.property)
    who = data.requester
    tier, language = tiers.get((data.property, who.id), (None, None)) if who and who.id else (None, None)
    answer = prop.scope.serves(data.location)
    new = NewCase(
        id=data.demand,
        property=data.property,
        kind=data.kind,
        raised_at=data.raised_at,
        actor=Actor(person=RESIDENT if who else data.source, recorded_by=data.source),
        priority=data.priority,
        tier=(who.tier if who else None) or tier,
        line=data.line,
        subject=data.subject,
        perspective=data.perspective,
        language=(who.language if who else None) or language,
        outside=None if answer else (answer.reason if prop.language == "zh-CN" else answer.reason_en),
    )
    return OpenCase(new=new, request=_case_request(data), trace=event.trace)


def _case_request(data: DemandAccepted) -> CaseRequest:
    return CaseRequest(
        summary=data.summary,
        source=data.source,
        description=data.description,
        channel=data.channel,
        location=data.location,
        requester=data.requester,
        preferred=data.preferred,
        reference=data.reference,
        details=data.details,
    )


def _reference(data: DemandAccepted) -> tuple[str, str, str | None]:
    return data.property, data.source, data.reference


def _withdrawal_command(row: Any, case: str) -> WithdrawCase:
    return WithdrawCase(case=case, by=RESIDENT, at=row.at, reason=row.reason)


async def _tiers(connection: AsyncConnection, demands: Iterable[DemandAccepted]) -> Tiers:
    asked = {(d.property, d.requester.id) for d in demands if d.requester and d.requester.id}
    if not asked:
        return {}
    query = select(residents).where(tuple_(residents.c.property, residents.c.resident).in_(sorted(asked)))
    rows = await connection.execute(query)
    return {(row.property, row.resident): (row.tier, row.language) for row in rows}


async def _save_withdrawals(connection: AsyncConnection, events: Iterable[Event], now: datetime) -> None:
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    rows = [
        {
            "source": event.source,
            "event": event.id,
            "property": event.data.property,
            "demand": event.data.demand,
            "reference": event.data.reference,
            "at": event.time,
            "reason": event.data.reason,
            "heard_at": now,
        }
        for event in events
    ]
    await connection.execute(dialect.insert(withdrawals).on_conflict_do_nothing(), rows)


async def _get_withdrawals(connection: AsyncConnection, demands: Sequence[DemandAccepted]) -> Sequence[Any]:
    ids = [data.demand for data in demands]
    references = sorted({(d.property, d.source, d.reference) for d in demands if d.reference is not None})
    named: ColumnElement[bool] = withdrawals.c.demand.in_(ids)
    if references:
        columns = tuple_(withdrawals.c.property, withdrawals.c.source, withdrawals.c.reference)
        named = or_(named, withdrawals.c.demand.is_(None) & columns.in_(references))
    return (await connection.execute(select(withdrawals).where(named))).all()


async def _delete_withdrawals(connection: AsyncConnection, rows: Sequence[Any]) -> None:
    names = [(row.source, row.event) for row in rows]
    if names:
        columns = tuple_(withdrawals.c.source, withdrawals.c.event)
        await connection.execute(delete(withdrawals).where(columns.in_(names)))
