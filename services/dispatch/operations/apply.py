"""The one path by which cases change: load the cases of a set, decide purely, write in a few statements."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from services.dispatch import queries
from services.dispatch.announcing import announced, noticed
from services.dispatch.case import Case
from services.dispatch.commands import Command, Conclude, Open, Perform, case_of
from services.dispatch.desk import Desk
from services.dispatch.metrics import Meters
from services.dispatch.operations.writing import write
from services.dispatch.rulebook import Rulebook
from shared.errors import Problem
from shared.messages import Event
from shared.outbox import Outbox

Outcome = Problem | None
"""Why a command was refused; None where it was carried out."""


class House(Protocol):
    """What applying needs of the service."""

    rules: Rulebook
    outbox: Outbox
    meters: Meters


async def apply(
    connection: AsyncConnection,
    house: House,
    commands: Sequence[Command],
    now: datetime,
    *,
    skip_locked: bool = False,
) -> list[Outcome]:
    """Carry out `commands` in order, within the caller's transaction; an outcome for each.

    A command that can't be carried out leaves no trace and does not spoil the others. With `skip_locked`
    cases that somebody else holds are left out as if they did not exist.
    """
    desk = await lay(connection, house, commands, now, skip_locked=skip_locked)
    return await carry_out(connection, house, desk, commands)


async def carry_out(
    connection: AsyncConnection, house: House, desk: Desk, commands: Sequence[Command]
) -> list[Outcome]:
    """Decide `commands` on a desk that was laid for them, and write what they came to."""
    outcomes = [_decided(desk, command) for command in commands]
    while desk.ended:
        for child in await queries.hold_children(connection, desk.ended):
            if child.case.id not in desk.held:
                desk.put(child.case, child.papers)
        desk.end_children()
    await write(connection, house.rules, desk)
    await house.outbox.record(connection, *_events(house.rules, desk))
    house.meters.count(desk)
    return outcomes


async def lay(
    connection: AsyncConnection,
    house: House,
    commands: Sequence[Command],
    now: datetime,
    *,
    skip_locked: bool = False,
) -> Desk:
    """A desk with all that `commands` need: their cases, held until the commit, and the loads."""
    found = await queries.hold(connection, _needed(commands), skip_locked=skip_locked)
    asked = _properties(commands, [case for case, _ in found])
    loads: dict[str, Counter[str]] = await queries.loads(connection, asked) if asked else {}
    desk = Desk(house.rules, now, loads)
    for case, papers in found:
        desk.put(case, papers)
    unhappy = [c.case for c in commands if isinstance(c, Conclude) and c.dissatisfied]
    if unhappy:
        desk.reworked = set(await queries.reworks(connection, unhappy))
    return desk


def _properties(commands: Sequence[Command], found: Sequence[Case]) -> set[str]:
    """Those in which somebody may have to be found for a job."""
    asked = {command.new.property for command in commands if isinstance(command, Open)}
    concluded = {command.case for command in commands if isinstance(command, Conclude)}
    waiting = (c for c in found if c.retry_at is not None or c.lease_until is not None or c.id in concluded)
    return asked | {case.property for case in waiting}


def raise_refusal(outcomes: Sequence[Outcome]) -> None:
    """Raises the first refusal: for callers whose commands are all meant to be carried out."""
    for outcome in outcomes:
        if outcome is not None:
            raise outcome


def _needed(commands: Sequence[Command]) -> set[str]:
    ids = {case_of(command) for command in commands}
    for command in commands:
        parent = command.act.data.get("parent") if isinstance(command, Perform) else None
        if isinstance(parent, str) and len(parent) == 36:
            ids.add(parent.lower())
    return ids


def _decided(desk: Desk, command: Command) -> Outcome:
    try:
        desk.do(command)
    except Problem as problem:
        return problem
    return None


def _events(rules: Rulebook, desk: Desk) -> list[Event]:
    return [*(announced(rules, step) for step in desk.steps), *(noticed(notice) for notice in desk.notices)]
