"""Events between the services and for others: no free text and no contacts but in DemandAccepted."""

from datetime import datetime
from typing import Any, Literal

from msgspec import Struct, field

from shared.messages.facts import Kind, Line, Location, Perspective, Preferred, Priority, Requester


class DemandAccepted(Struct, frozen=True, kw_only=True):
    """intake → dispatch: a demand that will open the case of the same id."""

    demand: str
    property: str
    kind: Kind
    summary: str
    description: str | None = None
    subject: str | None = None
    line: Line | None = None
    perspective: Perspective | None = None
    priority: Priority | None = None
    channel: str | None = None
    location: Location | None = None
    requester: Requester | None = None
    preferred: Preferred | None = None
    reference: str | None = None
    details: dict[str, Any] | None = None
    source: str
    raised_at: datetime
    accepted_at: datetime


class WorkflowRef(Struct, frozen=True, kw_only=True):
    """The definition that a case runs by."""

    name: str
    version: int


class Entry(Struct, frozen=True, kw_only=True):
    """One step of a case: `at` is when it happened, `recorded_at` when we heard."""

    seq: int
    action: str
    from_: str = field(name="from")
    to: str
    at: datetime
    recorded_at: datetime
    actor: str


class DeadlineStatus(Struct, frozen=True, kw_only=True):
    """A clock of a case; `due_at` holds the waits that have been, `paused_since` is set while one lasts."""

    clock: str
    due_at: datetime
    met_at: datetime | None = None
    missed_at: datetime | None = None
    paused_seconds: int = 0
    paused_since: datetime | None = None


class Verdict(Struct, frozen=True, kw_only=True):
    """A finding on a complaint; a not-valid one has effect from `effective_at`, its countersignature."""

    valid: bool
    at: datetime
    effective_at: datetime | None = None


class CaseFacts(Struct, frozen=True, kw_only=True):
    """What the rates need to know of a case's past."""

    completed_at: datetime | None = None
    inspected_at: datetime | None = None
    inspection_passed: bool | None = None
    verdicts: list[Verdict] = []
    ended_at: datetime | None = None


class FollowUpPlan(Struct, frozen=True, kw_only=True):
    """The follow-up that a finished case is owed: `since` is when it came to exist."""

    line: Line
    due_at: datetime
    since: datetime
    workers: list[str] = []


class CaseState(Struct, frozen=True, kw_only=True):
    """A case after its entry `version`; of several, the highest version is the case."""

    case: str
    number: str
    property: str
    kind: Kind
    workflow: WorkflowRef
    state: str
    open: bool
    priority: Priority
    assignee: str | None
    raised_at: datetime
    line: Line | None
    subject: str | None
    perspective: Perspective | None
    rework_of: str | None
    parent: str | None
    language: str | None
    version: int
    entry: Entry
    deadlines: list[DeadlineStatus]
    facts: CaseFacts
    follow_up: FollowUpPlan | None = None


class CaseOpened(CaseState, frozen=True, kw_only=True):
    """A case exists now."""


class CaseChanged(CaseState, frozen=True, kw_only=True):
    """A case took a step."""


class CaseClosed(CaseState, frozen=True, kw_only=True):
    """A case came to an end."""


class CaseDeadline(Struct, frozen=True, kw_only=True):
    """A deadline is near (`warned`) or has passed unmet (`missed`)."""

    case: str
    number: str
    property: str
    kind: Kind
    clock: str
    outcome: Literal["warned", "missed"]
    due_at: datetime
    assignee: str | None = None


class FollowUpDue(Struct, frozen=True, kw_only=True):
    """A follow-up exists and is to be done by `due_at`."""

    followup: str
    case: str
    property: str
    kind: Kind
    line: Line
    due_at: datetime
    since: datetime


class Answer(Struct, frozen=True, kw_only=True):
    """What the resident said, without the words."""

    rating: int
    expected: int | None = None
    perceived: int | None = None
    surprised: bool | None = None
    reason: str | None = None


class FollowUpDone(FollowUpDue, frozen=True, kw_only=True):
    """A follow-up is done, or its answer was corrected (a higher `version`), at `answered_at`."""

    outcome: Literal["answered", "declined", "unreachable"]
    done_at: datetime
    answered_at: datetime | None = None
    answer: Answer | None = None
    version: int
    by: str


class KpiBreached(Struct, frozen=True, kw_only=True):
    """A target rate is missed since this moment."""

    property: str
    kpi: str
    window: str
    numerator: str
    denominator: str
    target: str


class KpiRecovered(KpiBreached, frozen=True, kw_only=True):
    """A target rate is met again."""


class KeyRevoked(Struct, frozen=True, kw_only=True):
    """A key is no longer valid, anywhere."""

    key: str
