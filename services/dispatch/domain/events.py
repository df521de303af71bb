"""The events that dispatch publishes of its cases: no free text, no contacts."""

from datetime import datetime

from services.dispatch.domain.case import Case, HistoryEntry
from services.dispatch.domain.case_batch import DeadlineNotice
from services.dispatch.domain.deadlines import Deadline, deadline_at
from shared.messages.cloudevents import Event
from shared.messages.events import (
    CaseChanged,
    CaseClosed,
    CaseDeadline,
    CaseFacts,
    CaseOpened,
    DeadlineStatus,
    Entry,
    FollowUpPlan,
    Verdict,
    WorkflowRef,
)

SOURCE = "guanjia/dispatch"


def case_event(case: Case, entry: HistoryEntry, *, is_open: bool, trace: str | None = None) -> Event:
    """The event of a step, `entry`, after which the case is `case`: the same whenever it is made."""
    event_data = CaseOpened if entry.seq == 1 else CaseChanged if is_open else CaseClosed
    data = event_data(
        case=case.id,
        number=case.number,
        property=case.property,
        kind=case.kind,
        workflow=WorkflowRef(name=case.workflow, version=case.workflow_version),
        state=case.state,
        open=is_open,
        priority=case.priority,
        assignee=case.assignee,
        raised_at=case.raised_at,
        line=case.line,
        subject=case.subject,
        perspective=case.perspective,
        rework_of=case.rework_of,
        parent=case.parent,
        language=case.language,
        version=case.version,
        entry=_entry(entry),
        deadlines=[deadline_status(deadline) for deadline in case.deadlines],
        facts=_facts(case),
        follow_up=_follow_up_plan(case),
    )
    return Event.of(data, id=f"{case.id}-{entry.seq}", source=SOURCE, time=entry.at, trace=trace)


def deadline_event(notice: DeadlineNotice) -> Event:
    """The event of a deadline, at the time when to warn of it or when it passed."""
    case, deadline = notice.case, notice.deadline
    data = CaseDeadline(
        case=case.id,
        number=case.number,
        property=case.property,
        kind=case.kind,
        clock=deadline.name,
        outcome=notice.outcome,
        due_at=deadline.due_at,
        assignee=case.assignee,
    )
    time = deadline.due_at if notice.outcome == "missed" else deadline.warn_at
    return Event.of(data, source=SOURCE, time=time, trace=notice.trace)


def deadline_status(deadline: Deadline) -> DeadlineStatus:
    """A deadline as it is published and shown."""
    return DeadlineStatus(
        clock=deadline.name,
        due_at=deadline.due_at,
        met_at=deadline.met_at,
        missed_at=deadline.missed_at,
        paused_seconds=int(deadline.paused_seconds),
        paused_since=deadline.paused_since,
    )


def deadline_statuses(case: Case, is_worked_on: bool, now: datetime) -> list[DeadlineStatus]:
    """The case's deadlines as of `now`: what has passed is missed, before its timer has fired, too."""
    return [
        deadline_status(deadline_at(deadline, now) if is_worked_on else deadline)
        for deadline in case.deadlines
    ]


def _entry(entry: HistoryEntry) -> Entry:
    return Entry(
        seq=entry.seq,
        action=entry.action,
        from_=entry.from_state or "",
        to=entry.to_state,
        at=entry.at,
        recorded_at=entry.recorded_at,
        actor=entry.actor,
    )


def _facts(case: Case) -> CaseFacts:
    return CaseFacts(
        completed_at=case.completed_at,
        inspected_at=case.inspected_at,
        inspection_passed=case.inspection_passed,
        verdicts=[Verdict(valid=f.valid, at=f.at, effective_at=f.effective_at) for f in case.findings],
        ended_at=case.ended_at,
    )


def _follow_up_plan(case: Case) -> FollowUpPlan | None:
    plan = case.follow_up
    if plan is None:
        return None
    return FollowUpPlan(line=plan.line, due_at=plan.due_at, since=plan.since, workers=list(plan.workers))
