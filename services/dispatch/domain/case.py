"""What is known of a case, and the words in which its steps are told."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct

from services.dispatch.domain.deadlines import Deadline
from shared.messages.facts import Kind, Line, Perspective, Priority
from shared.properties.property import Property


class Actor(Struct, frozen=True, kw_only=True):
    """Who acts: `person` does it, `recorded_by` is whose key told us of it."""

    person: str
    recorded_by: str
    roles: frozenset[str] = frozenset()
    system: bool = False

    @property
    def rules_all(self) -> bool:
        """Whether this actor may do whatever the workflow offers to anybody."""
        return self.system or "admin" in self.roles


SYSTEM = Actor(person="system", recorded_by="system", system=True)


class ReportedAction(Struct, frozen=True, kw_only=True):
    """Something that somebody says was done: `at` is when, None where it is now."""

    action: str
    actor: Actor
    at: datetime | None = None
    data: dict[str, Any] = {}


class Finding(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A verdict on a complaint by `by`; not valid is in effect once somebody else has signed."""

    valid: bool
    at: datetime
    by: str
    effective_at: datetime | None = None


class FollowUp(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The follow-up that a done case is owed since `since`, not to be done by one of `workers`."""

    line: Line
    due_at: datetime
    since: datetime
    workers: tuple[str, ...] = ()


class Case(Struct, frozen=True, kw_only=True, omit_defaults=True, rename={"deadlines": "clocks"}):
    """A case after its entry `version`, which happened `at`. Immutable; a step makes another."""

    id: str
    number: str
    property: str
    kind: Kind
    workflow: str
    workflow_version: int
    state: str
    priority: Priority
    raised_at: datetime
    at: datetime
    version: int
    deadlines: tuple[Deadline, ...] = ()
    assignee: str | None = None
    level: int = 0
    urged: int = 0
    line: Line | None = None
    subject: str | None = None
    perspective: Perspective | None = None
    language: str | None = None
    rework_of: str | None = None
    parent: str | None = None
    equipment: str | None = None
    outside: str | None = None
    excluded: tuple[str, ...] = ()
    lapsed: tuple[str, ...] = ()
    workers: tuple[str, ...] = ()
    lease_until: datetime | None = None
    retry_at: datetime | None = None
    told_nobody_at: datetime | None = None
    completed_at: datetime | None = None
    done_at: datetime | None = None
    inspected_at: datetime | None = None
    inspection_passed: bool | None = None
    findings: tuple[Finding, ...] = ()
    stamps: dict[str, datetime] = {}
    ended_at: datetime | None = None
    follow_up: FollowUp | None = None


class HistoryEntry(Struct, frozen=True, kw_only=True):
    """One step: `at` is when it happened, `recorded_at` when we heard, `actor` who did it."""

    seq: int
    action: str
    from_state: str | None
    to_state: str
    at: datetime
    recorded_at: datetime
    actor: str
    recorded_by: str
    data: dict[str, Any] = {}


class Transition(Struct, frozen=True, kw_only=True):
    """A case before and after one step, and the entry that tells it."""

    before: Case | None
    after: Case
    entry: HistoryEntry


class CaseTerms(Struct, frozen=True, kw_only=True):
    """What the property says for this case's kind and priority."""

    prop: Property
    lease: timedelta
    people: Mapping[str, Any]

    @classmethod
    def of(cls, prop: Property, kind: Kind, priority: Priority) -> "CaseTerms":
        """The terms of `prop` for a kind and a priority."""
        return cls(
            prop=prop, lease=prop.service_level(kind, priority).accept_within, people=prop.people_by_id
        )

    @property
    def automatic(self) -> bool:
        """Whether the system assigns by itself, and takes back what nobody accepts."""
        return self.prop.dispatch.automatic
