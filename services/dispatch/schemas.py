"""Cases as they are served, by what the reader may see and do."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct, field

from services.dispatch.domain.case import Actor, Case, HistoryEntry
from services.dispatch.domain.commands import CaseRequest
from services.dispatch.domain.events import deadline_statuses
from services.dispatch.domain.transition import allowed_actions
from services.dispatch.domain.workflow_catalog import WorkflowCatalog
from shared.auth import Identity
from shared.messages.events import DeadlineStatus, WorkflowRef
from shared.messages.facts import Kind, Line, Location, Perspective, Preferred, Priority, Requester

CONTACT_ROLES = ("dispatcher", "quality", "operations")
"""Roles that see the requester; engineers see the requesters of their own jobs."""


class AvailableAction(Struct, frozen=True, kw_only=True):
    """An action that the reader may take now, with its fields."""

    action: str
    fields: dict[str, str]
    required: list[str]
    name: dict[str, str]


class HistorySummary(Struct, frozen=True, kw_only=True):
    """One step, without its data."""

    seq: int
    action: str
    from_: str | None = field(name="from")
    to: str
    at: datetime
    recorded_at: datetime
    actor: str
    recorded_by: str


class HistoryDetail(HistorySummary, frozen=True, kw_only=True):
    """One step with its data."""

    data: dict[str, Any]


class CaseSummary(Struct, frozen=True, kw_only=True):
    """A case in a list."""

    id: str
    number: str
    property: str
    kind: Kind
    workflow: WorkflowRef
    state: str
    open: bool
    priority: Priority
    assignee: str | None
    raised_at: datetime
    deadlines: list[DeadlineStatus]
    rework_of: str | None
    parent: str | None
    version: int
    summary: str
    location: Location | None
    subject: str | None
    line: Line | None
    perspective: Perspective | None
    level: int
    urged: int
    outside_scope: str | None


class CaseDetail(CaseSummary, frozen=True, kw_only=True):
    """A case with everything that the reader may see."""

    reworks: list[str]
    description: str | None
    channel: str | None
    requester: Requester | None
    preferred: Preferred | None
    reference: str | None
    details: dict[str, Any] | None
    follow_up_due_at: datetime | None
    actions: list[AvailableAction]
    history: list[HistoryDetail]


def actor_for(identity: Identity, person: str | None = None) -> Actor:
    """The actor of what a caller does; `person` where it acts for somebody else."""
    return Actor(person=person or identity.actor, recorded_by=identity.actor, roles=identity.roles)


def summarize_case(catalog: WorkflowCatalog, case: Case, request: CaseRequest, now: datetime) -> CaseSummary:
    """The case as an item of a list."""
    return CaseSummary(**_summary_fields(catalog, case, request, now))


def describe_case(
    catalog: WorkflowCatalog,
    case: Case,
    request: CaseRequest,
    history: Sequence[HistoryEntry],
    reworks: list[str],
    identity: Identity,
    now: datetime,
) -> CaseDetail:
    """The case with everything that `identity` may see and do."""
    contacts = may_see_contacts(case, identity)
    return CaseDetail(
        **_summary_fields(catalog, case, request, now),
        reworks=reworks,
        description=request.description,
        channel=request.channel,
        requester=request.requester if contacts else None,
        preferred=request.preferred,
        reference=request.reference,
        details=request.details if contacts else None,
        follow_up_due_at=case.follow_up.due_at if case.follow_up else None,
        actions=available_actions(catalog, case, identity),
        history=[_describe_entry(entry) for entry in history],
    )


def available_actions(catalog: WorkflowCatalog, case: Case, identity: Identity) -> list[AvailableAction]:
    """What `identity` may do with `case` now."""
    return [
        AvailableAction(
            action=action.name,
            fields={field.name: field.type_name for field in action.fields},
            required=[field.name for field in action.fields if field.required],
            name={"zh": action.zh, "en": action.en},
        )
        for action in allowed_actions(catalog.workflow_of(case), case, actor_for(identity))
    ]


def may_see_contacts(case: Case, identity: Identity) -> bool:
    """Whether the reader may see the requester and what came with the demand."""
    return identity.has_role(*CONTACT_ROLES) or (
        identity.person is not None and case.assignee == identity.person
    )


def _summary_fields(
    catalog: WorkflowCatalog, case: Case, request: CaseRequest, now: datetime
) -> dict[str, Any]:
    workflow = catalog.workflow_of(case)
    return {
        "id": case.id,
        "number": case.number,
        "property": case.property,
        "kind": case.kind,
        "workflow": WorkflowRef(name=case.workflow, version=case.workflow_version),
        "state": case.state,
        "open": workflow.is_open(case.state),
        "priority": case.priority,
        "assignee": case.assignee,
        "raised_at": case.raised_at,
        "deadlines": deadline_statuses(case, catalog.is_worked_on(case), now),
        "rework_of": case.rework_of,
        "parent": case.parent,
        "version": case.version,
        "summary": request.summary,
        "location": request.location,
        "subject": case.subject,
        "line": case.line,
        "perspective": case.perspective,
        "level": case.level,
        "urged": case.urged,
        "outside_scope": case.outside,
    }


def summarize_entry(entry: HistoryEntry) -> HistorySummary:
    """A step without its data."""
    return HistorySummary(**_entry_fields(entry))


def _describe_entry(entry: HistoryEntry) -> HistoryDetail:
    return HistoryDetail(**_entry_fields(entry), data=entry.data)


def _entry_fields(entry: HistoryEntry) -> dict[str, Any]:
    return {
        "seq": entry.seq,
        "action": entry.action,
        "from_": entry.from_state,
        "to": entry.to_state,
        "at": entry.at,
        "recorded_at": entry.recorded_at,
        "actor": entry.actor,
        "recorded_by": entry.recorded_by,
    }
