"""Demands that were accepted open cases, those taken back withdraw them, whichever comes first."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import delete, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from services.dispatch.domain.case import Actor
from services.dispatch.domain.commands import CaseRequest, Command, OpenCase, WithdrawCase
from services.dispatch.domain.opening import NewCase
from services.dispatch.domain.workflow_catalog import WorkflowCatalog
from services.dispatch.models import withdrawals
from services.dispatch.operations.case_commands import (
    CommandHost,
    decide_commands,
    execute_commands,
    load_batch,
    raise_refusal,
)
from services.dispatch.queries.batch_read import UNKNOWN, BatchNeeds
from services.dispatch.queries.demands import (
    ResidentName,
    ResidentProfile,
    Withdrawal,
    get_withdrawals,
    list_matched_withdrawals,
)
from shared.database.bulk import BulkInsert
from shared.messages.cloudevents import Event
from shared.messages.events import DemandAccepted
from shared.messages.facts import DemandWithdrawn

RESIDENT = "resident"
"""How whoever raised a demand stands in a history: no name."""
_INSERT_WITHDRAWALS = BulkInsert(withdrawals, lambda insert: insert.on_conflict_do_nothing())


async def open_cases(host: CommandHost, events: Sequence[Event[DemandAccepted]]) -> None:
    """Open a case for every accepted demand that has none, and withdraw it where the demand was taken back
    before. A repetition changes nothing."""
    demands = [event.data for event in events]

    async def open_batch(connection: AsyncConnection, lock: bool) -> None:
        loaded = await load_batch(connection, host, _needs_of(demands), lock=lock)
        commands: list[Command] = [
            opening_command(host.catalog, event, loaded.read.profiles)
            for event in events
            if event.data.demand not in loaded.cases
        ]
        matched: list[tuple[Withdrawal, str]] = []
        if loaded.read.has_withdrawals:
            matched = await _match_earlier_withdrawals(connection, demands)
        commands += [_withdrawal_command(withdrawal, case) for withdrawal, case in matched]
        decision = await decide_commands(connection, host, loaded, commands, host.clock.now())
        raise_refusal(decision.outcomes)
        await host.case_storage.save(connection, decision.decider, loaded.cases)
        # What was matched is deleted when it is matched once more: that a case is over changes nothing.

    await host.database.run_batch(open_batch)


def _needs_of(demands: Iterable[DemandAccepted]) -> BatchNeeds:
    needs = BatchNeeds(withdrawals=True)
    for demand in demands:
        needs.cases[demand.demand] = UNKNOWN
        needs.properties.add(demand.property)
        if demand.requester and demand.requester.id:
            needs.residents.add((demand.property, demand.requester.id))
    return needs


async def withdraw_demands(
    connection: AsyncConnection, host: CommandHost, events: Sequence[Event[DemandWithdrawn]], now: datetime
) -> None:
    """Withdraw the cases of demands that were taken back; keep what can't be matched yet."""
    if not events:
        return
    await _save_withdrawals(connection, events, now)
    await match_withdrawals(connection, host, now)


async def match_withdrawals(connection: AsyncConnection, host: CommandHost, now: datetime) -> int:
    """Withdraw the cases of demands that were taken back before they came; how many were matched."""
    matched = await list_matched_withdrawals(connection)
    if matched:
        commands = [_withdrawal_command(withdrawal, withdrawal.case_id) for withdrawal in matched]
        await execute_commands(connection, host, commands, now)
        await _delete_withdrawals(connection, matched)
    return len(matched)


def opening_command(
    catalog: WorkflowCatalog, event: Event[DemandAccepted], profiles: Mapping[ResidentName, ResidentProfile]
) -> OpenCase:
    """The command that opens the case of an accepted demand."""
    data = event.data
    prop, requester = catalog.get_property(data.property), data.requester
    profile = profiles.get((data.property, requester.id)) if requester and requester.id else None
    scope = prop.scope.decide(data.location)
    new = NewCase(
        id=data.demand,
        property=data.property,
        kind=data.kind,
        raised_at=data.raised_at,
        actor=Actor(person=RESIDENT if requester else data.source, recorded_by=data.source),
        priority=data.priority,
        tier=(requester.tier if requester else None) or (profile.tier if profile else None),
        line=data.line,
        subject=data.subject,
        perspective=data.perspective,
        language=(requester.language if requester else None) or (profile.language if profile else None),
        outside=None if scope else (scope.reason if prop.language == "zh-CN" else scope.reason_en),
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


def _withdrawal_command(withdrawal: Withdrawal, case: str) -> WithdrawCase:
    return WithdrawCase(case=case, by=RESIDENT, at=withdrawal.at, reason=withdrawal.reason)


async def _match_earlier_withdrawals(
    connection: AsyncConnection, demands: Sequence[DemandAccepted]
) -> list[tuple[Withdrawal, str]]:
    """The withdrawals that came before their demand, each with the case that the demand opens."""
    by_id = {(d.property, d.demand): d.demand for d in demands}
    by_reference = {(d.property, d.source, d.reference): d.demand for d in demands if d.reference is not None}
    matched = []
    for withdrawal in await get_withdrawals(connection, [d.demand for d in demands], by_reference):
        if withdrawal.demand is not None:
            case = by_id.get((withdrawal.property, withdrawal.demand))
        else:
            case = by_reference.get((withdrawal.property, withdrawal.source, withdrawal.reference or ""))
        if case is not None:
            matched.append((withdrawal, case))
    return matched


async def _save_withdrawals(
    connection: AsyncConnection, events: Iterable[Event[DemandWithdrawn]], now: datetime
) -> None:
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
    await _INSERT_WITHDRAWALS.execute(connection, rows)


async def _delete_withdrawals(connection: AsyncConnection, matched: Iterable[Withdrawal]) -> None:
    names = [(withdrawal.source, withdrawal.event) for withdrawal in matched]
    if names:
        columns = tuple_(withdrawals.c.source, withdrawals.c.event)
        await connection.execute(delete(withdrawals).where(columns.in_(names)))
