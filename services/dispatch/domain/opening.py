"""How a case begins: its number, its clocks, its first entry. Pure."""

import hashlib
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from services.dispatch.domain import deadlines
from services.dispatch.domain.case import Actor, Case, HistoryEntry, Transition
from services.dispatch.domain.workflow.definition import Workflow
from shared.messages.facts import Kind, Line, Perspective, Priority
from shared.properties.property import Property

_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ABOVE: dict[Priority, Priority] = {"low": "normal", "normal": "high", "high": "urgent", "urgent": "urgent"}
VIP = frozenset({"vip", "svip", "gold", "platinum", "diamond"})
"""Tiers that are served one priority higher than they ask for."""


class NewCase(Struct, frozen=True, kw_only=True):
    """What a case begins with."""

    id: str
    property: str
    kind: Kind
    raised_at: datetime
    actor: Actor
    priority: Priority | None = None
    tier: str | None = None
    line: Line | None = None
    subject: str | None = None
    perspective: Perspective | None = None
    language: str | None = None
    rework_of: str | None = None
    equipment: str | None = None
    outside: str | None = None
    excluded: tuple[str, ...] = ()
    data: dict[str, Any] = {}


def open_case(workflow: Workflow, new: NewCase, prop: Property, now: datetime) -> Transition:
    """The case with its first entry, `raise`, at the moment when it was raised."""
    new = replace(new, raised_at=new.raised_at.astimezone(UTC))
    priority = effective_priority(new)
    case = Case(
        id=new.id,
        number=case_number(workflow, new, prop),
        property=new.property,
        kind=new.kind,
        workflow=workflow.name,
        workflow_version=workflow.version,
        state=workflow.initial,
        priority=priority,
        raised_at=new.raised_at,
        at=new.raised_at,
        version=1,
        deadlines=_start_deadlines(workflow, new, priority, prop),
        line=new.line,
        subject=new.subject,
        perspective=new.perspective or workflow.kinds[new.kind].perspective,
        language=new.language,
        rework_of=new.rework_of,
        equipment=new.equipment,
        outside=new.outside,
        excluded=new.excluded,
        retry_at=new.raised_at if _is_assigned_automatically(workflow, new, prop) else None,
    )
    return Transition(before=None, after=case, entry=_first_entry(case, new, now))


def effective_priority(new: NewCase) -> Priority:
    """What was asked for (normal, where nothing was), one higher for a resident of a higher tier."""
    priority = new.priority or "normal"
    return _ABOVE[priority] if (new.tier or "").lower() in VIP else priority


def case_number(workflow: Workflow, new: NewCase, prop: Property) -> str:
    """The number that people say to each other: prefix, local day, six signs of the id; no counter."""
    value = int.from_bytes(hashlib.blake2b(new.id.encode(), digest_size=4).digest())
    signs = "".join(_LETTERS[(value >> shift) & 31] for shift in range(0, 30, 5))
    return f"{workflow.prefix}-{prop.local_day(new.raised_at):%y%m%d}-{signs}"


def _start_deadlines(
    workflow: Workflow, new: NewCase, priority: Priority, prop: Property
) -> tuple[deadlines.Deadline, ...]:
    level = prop.service_level(new.kind, priority)
    begun = (
        deadlines.start_deadline(
            rule.name, new.raised_at, target, level.warn_at, prop.calendar(target.calendar)
        )
        for rule in workflow.deadline_rules
        if (target := level.clocks.get(rule.name)) is not None
    )
    return tuple(deadline for deadline in begun if deadline is not None)


def _is_assigned_automatically(workflow: Workflow, new: NewCase, prop: Property) -> bool:
    possible = workflow.assignment is not None and bool(prop.people)
    return possible and prop.dispatch.automatic and new.outside is None


def _first_entry(case: Case, new: NewCase, now: datetime) -> HistoryEntry:
    return HistoryEntry(
        seq=1,
        action="raise",
        from_state=None,
        to_state=case.state,
        at=case.raised_at,
        recorded_at=now,
        actor=new.actor.person,
        recorded_by=new.actor.recorded_by,
        data=new.data,
    )
