"""The one path by which cases change: load what a batch needs, decide purely, write what it came to.

Whoever writes has not locked what was read: the write fails where a case was written since, and all of it is
done again (`Database.run_batch`). Within somebody else's transaction the rows are locked instead.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol

from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncConnection

from services.dispatch.domain.case_batch import DecidedStep, LoadsMissing
from services.dispatch.domain.commands import Command, ConcludeFollowUp, OpenCase, PerformAction, case_id_of
from services.dispatch.domain.decider import CaseDecider
from services.dispatch.domain.folding import end_children
from services.dispatch.domain.workflow_catalog import WorkflowCatalog
from services.dispatch.operations.case_storage import CaseStorage
from services.dispatch.operations.recent_cases import RecentCase, RecentCases, revision_of
from services.dispatch.queries.batch_read import UNKNOWN, BatchNeeds, BatchRead, read_batch
from services.dispatch.queries.cases import get_children, lock_cases, open_jobs_by_person
from shared.errors import Problem
from shared.host import Host

_ID_LENGTH = 36
Outcome = Problem | None
"""Why a command was refused; None where it was carried out."""


class CommandHost(Host, Protocol):
    """What carrying out commands needs of the service."""

    catalog: WorkflowCatalog
    case_storage: CaseStorage
    recent_cases: RecentCases


class LoadedBatch(Struct):
    """What was read for a batch, and its cases by id."""

    asked: frozenset[str]
    read: BatchRead
    cases: dict[str, RecentCase]


class Decision(Struct, frozen=True):
    """What a batch came to: for each command its outcome and the steps that it took."""

    decider: CaseDecider
    outcomes: list[Outcome]
    steps: list[list[DecidedStep]]


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
    loaded = await load_batch(connection, host, needs_of(commands), lock=True, skip_locked=skip_locked)
    decision = await decide_commands(connection, host, loaded, commands, now)
    await host.case_storage.save(connection, decision.decider, loaded.cases)
    return decision.outcomes


async def load_batch(
    connection: AsyncConnection,
    host: CommandHost,
    needs: BatchNeeds,
    *,
    lock: bool,
    skip_locked: bool = False,
) -> LoadedBatch:
    """Read what `needs` names, but for what is remembered; with `lock` its cases stay as they are until the
    transaction ends."""
    ids: Collection[str] = needs.cases
    if lock and host.database.is_postgres:
        ids = await lock_cases(connection, ids, skip_locked=skip_locked)
    recent = host.recent_cases.select(ids, histories=needs.histories)
    needs.cases = {case_id: revision_of(recent.get(case_id)) for case_id in sorted(ids)}
    read = await read_batch(connection, needs)
    loaded = {}
    for case_id, (revision, stored) in read.cases.items():
        remembered = recent.get(case_id)
        if stored is None or (remembered is not None and remembered.revision == revision):
            loaded[case_id] = recent[case_id]  # also of one that is read again as folded into another
        else:
            history = tuple(read.histories[case_id]) if case_id in read.histories else None
            loaded[case_id] = RecentCase(stored, revision, history)
    return LoadedBatch(frozenset(needs.cases), read, loaded)


async def decide_commands(
    connection: AsyncConnection,
    host: CommandHost,
    loaded: LoadedBatch,
    commands: Sequence[Command],
    now: datetime,
) -> Decision:
    """Decide `commands` over what was loaded for them. Nothing is written."""
    while True:
        decider = CaseDecider(host.catalog, now, loaded.read.loads)
        for recent in loaded.cases.values():
            decider.load(*recent.stored, recent.revision)
        decider.reworked = set(loaded.read.reworks)
        try:
            return await _decide_once(connection, decider, loaded, commands)
        except LoadsMissing as missing:
            jobs = await open_jobs_by_person(connection, [missing.property])
            loaded.read.loads[missing.property] = jobs.get(missing.property, Counter())


async def _decide_once(
    connection: AsyncConnection, decider: CaseDecider, loaded: LoadedBatch, commands: Sequence[Command]
) -> Decision:
    outcomes, steps = [], []
    for command in commands:
        count = len(decider.steps)
        outcomes.append(_execute_command(decider, command))
        steps.append(decider.steps[count:])
    while decider.ended:
        await _load_children(connection, decider, decider.ended.keys() - loaded.asked)
        end_children(decider)
    return Decision(decider, outcomes, steps)


async def _load_children(connection: AsyncConnection, decider: CaseDecider, parents: Collection[str]) -> None:
    """Those folded into cases that were not asked for: they were folded themselves."""
    for stored, revision in await get_children(connection, parents) if parents else ():
        if stored.case.id not in decider.tracked:
            decider.load(*stored, revision)


def _execute_command(decider: CaseDecider, command: Command) -> Outcome:
    try:
        decider.execute(command)
    except Problem as problem:
        return problem
    return None


def needs_of(commands: Sequence[Command]) -> BatchNeeds:
    """What must be read before `commands` can be decided."""
    needs = BatchNeeds()
    for command in commands:
        needs.cases[case_id_of(command)] = UNKNOWN
        match command:
            case OpenCase():
                needs.properties.add(command.new.property)
            case ConcludeFollowUp(dissatisfied=True):
                needs.properties.add(command.done.property)
                needs.reworks = True
            case PerformAction():
                parent = command.act.data.get("parent")
                if isinstance(parent, str) and len(parent) == _ID_LENGTH:
                    needs.cases[parent.lower()] = UNKNOWN
    return needs


def raise_refusal(outcomes: Sequence[Outcome]) -> None:
    """Raises the first refusal: for callers whose commands are all meant to be carried out."""
    for outcome in outcomes:
        if outcome is not None:
            raise outcome
