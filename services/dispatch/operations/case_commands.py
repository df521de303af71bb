"""The one path by which cases change: load the cases of a batch, decide purely, write in a few statements."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from services.dispatch.domain.case import Case
from services.dispatch.domain.commands import Command, ConcludeFollowUp, OpenCase, PerformAction, case_id_of
from services.dispatch.domain.decider import CaseDecider
from services.dispatch.domain.events import case_event, deadline_event
from services.dispatch.domain.folding import end_children
from services.dispatch.domain.workflow_catalog import WorkflowCatalog
from services.dispatch.metrics import DispatchMetrics
from services.dispatch.operations.case_storage import save_decisions
from services.dispatch.queries.cases import get_reworks, lock_cases, lock_children, open_jobs_by_person
from shared.errors import Problem
from shared.host import Host
from shared.messages.cloudevents import Event

Outcome = Problem | None
"""Why a command was refused; None where it was carried out."""


class CommandHost(Host, Protocol):
    """What carrying out commands needs of the service."""

    catalog: WorkflowCatalog
    metrics: DispatchMetrics

    def notify_commit(self) -> None:
        """Cases were written."""
        ...


async def execute_commands(
    connection: AsyncConnection,
    host: CommandHost,
    commands: Sequence[Command],
    now: datetime,
    *,
    skip_locked: bool = False,
) -> list[Outcome]:
    """Carry out `commands` in order, within the caller's transaction; an outcome for each.

    A command that can't be carried out leaves no trace and does not spoil the others. With `skip_locked`
    cases that another transaction has locked are left out as if they did not exist.
    """
    decider = await load_decider(connection, host, commands, now, skip_locked=skip_locked)
    return await decide_and_save(connection, host, decider, commands)


async def load_decider(
    connection: AsyncConnection,
    host: CommandHost,
    commands: Sequence[Command],
    now: datetime,
    *,
    skip_locked: bool = False,
) -> CaseDecider:
    """A decider with all that `commands` need: their cases, locked until the commit, and the loads."""
    stored = await lock_cases(connection, _needed_cases(commands), skip_locked=skip_locked)
    properties = _assigning_properties(commands, [case for case, _ in stored])
    loads: dict[str, Counter[str]] = await open_jobs_by_person(connection, properties) if properties else {}
    decider = CaseDecider(host.catalog, now, loads)
    for case, request in stored:
        decider.load(case, request)
    dissatisfied = [c.case for c in commands if isinstance(c, ConcludeFollowUp) and c.dissatisfied]
    if dissatisfied:
        decider.reworked = set(await get_reworks(connection, dissatisfied))
    return decider


async def decide_and_save(
    connection: AsyncConnection, host: CommandHost, decider: CaseDecider, commands: Sequence[Command]
) -> list[Outcome]:
    """Decide `commands` over the cases that were loaded for them, and write what they came to."""
    outcomes = [_execute_command(decider, command) for command in commands]
    while decider.ended:
        for child in await lock_children(connection, decider.ended):
            if child.case.id not in decider.tracked:
                decider.load(child.case, child.request)
        end_children(decider)
    await save_decisions(connection, decider)
    host.database.after_commit(connection, host.notify_commit)
    await host.record(connection, *_events(decider))
    host.metrics.count_decisions(decider)
    return outcomes


def raise_refusal(outcomes: Sequence[Outcome]) -> None:
    """Raises the first refusal: for callers whose commands are all meant to be carried out."""
    for outcome in outcomes:
        if outcome is not None:
            raise outcome


def _assigning_properties(commands: Sequence[Command], cases: Sequence[Case]) -> set[str]:
    """The properties where the system may have to assign a case, so that the loads are needed."""
    opening = {command.new.property for command in commands if isinstance(command, OpenCase)}
    concluded = {command.case for command in commands if isinstance(command, ConcludeFollowUp)}
    waiting = (c for c in cases if c.retry_at is not None or c.lease_until is not None or c.id in concluded)
    return opening | {case.property for case in waiting}


def _needed_cases(commands: Sequence[Command]) -> set[str]:
    ids = {case_id_of(command) for command in commands}
    for command in commands:
        parent = command.act.data.get("parent") if isinstance(command, PerformAction) else None
        if isinstance(parent, str) and len(parent) == 36:
            ids.add(parent.lower())
    return ids


def _execute_command(decider: CaseDecider, command: Command) -> Outcome:
    try:
        decider.execute(command)
    except Problem as problem:
        return problem
    return None


def _events(decider: CaseDecider) -> list[Event]:
    return [
        *(case_event(step) for step in decider.steps),
        *(deadline_event(notice) for notice in decider.notices),
    ]
