"""Decides a set of commands over the cases that it was given: pure, in order, a bad one leaving no trace.

Everything that changes a case goes through here. What came of it lies in `held`, `steps` and `notices`.
"""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from services.dispatch.domain import assignment, deadlines
from services.dispatch.domain.case import SYSTEM, Actor, Case, ReportedAction, Transition
from services.dispatch.domain.commands import (
    CaseRequest,
    CheckDeadlines,
    Command,
    ConcludeFollowUp,
    OpenCase,
    PerformAction,
    RecordSystemAction,
    WithdrawCase,
)
from services.dispatch.domain.errors import ActionNotAllowed
from services.dispatch.domain.opening import NewCase, open_case
from services.dispatch.domain.transition import advance
from services.dispatch.domain.workflow.definition import FOLDED
from services.dispatch.domain.workflow_catalog import WorkflowCatalog
from shared.errors import InvalidInput, NotFound, PreconditionFailed

RETRY = timedelta(minutes=1)
"""How often somebody is looked for while nobody is there."""
HIGHEST = 8
"""The level beyond which a case does not climb: there is no rung above."""


class TrackedCase(Struct, frozen=True):
    """A case on the desk: as it is now, as it was loaded (None: new), and what was said at its raising."""

    case: Case
    loaded: Case | None
    request: CaseRequest
    looked: bool = False


class DecidedStep(Struct, frozen=True):
    """A transition, and the trace that it belongs to."""

    transition: Transition
    trace: str | None


class DeadlineNotice(Struct, frozen=True):
    """A deadline that is near or was missed."""

    case: Case
    deadline: deadlines.Deadline
    outcome: str
    trace: str | None


class CaseDecider:
    """The cases of one set. `loads` is how many jobs everybody has, by property."""

    def __init__(self, catalog: WorkflowCatalog, now: datetime, loads: dict[str, Counter[str]]) -> None:
        self._catalog = catalog
        self._now = now
        self._loads = loads
        self._trace: str | None = None
        self._undo: list[tuple[str, TrackedCase | None]] = []
        self.tracked: dict[str, TrackedCase] = {}
        self.reworked: set[str] = set()
        self.ended: dict[str, str] = {}
        self.steps: list[DecidedStep] = []
        self.notices: list[DeadlineNotice] = []

    def put(self, case: Case, request: CaseRequest) -> None:
        """Lay a stored case on the desk."""
        self.tracked[case.id] = TrackedCase(case, case, request)

    def do(self, command: Command) -> None:
        """Carry out one command. Raises a Problem and leaves everything as it was where it can't be."""
        marks = len(self.steps), len(self.notices), set(self.reworked), dict(self.ended)
        self._undo.clear()
        self._trace = command.trace
        try:
            self._dispatch(command)
        except Exception:
            for case, before in reversed(self._undo):
                self._restore(case, before)
            del self.steps[marks[0] :], self.notices[marks[1] :]
            self.reworked, self.ended = marks[2], marks[3]
            raise

    def _dispatch(self, command: Command) -> None:
        match command:
            case OpenCase():
                self._open(command.new, command.request)
            case PerformAction():
                self._perform(command)
            case CheckDeadlines():
                self._look(command.case)
            case RecordSystemAction():
                self._tell(command)
            case WithdrawCase():
                self._take_back(command)
            case ConcludeFollowUp():
                self._conclude(command)

    # Opening.

    def _open(self, new: NewCase, request: CaseRequest) -> None:
        if new.id in self.tracked:
            return
        workflow = self._catalog.for_kind(new.kind)
        transition = open_case(workflow, new, self._catalog.property(new.property), self._now)
        self._keep(TrackedCase(transition.after, None, request))
        self.steps.append(DecidedStep(transition, self._trace))
        self._assign_if_due(new.id, new.raised_at)

    # Steps that people take.

    def _perform(self, command: PerformAction) -> None:
        case = self._seen(command)
        if command.if_match is not None and case.version not in command.if_match:
            raise PreconditionFailed()
        people = self._catalog.terms(case).people
        if command.for_somebody and people and command.act.actor.person not in people:
            raise InvalidInput.of("actor", "There is no such person", "没有此人")
        parent = command.act.data.get("parent")
        if command.act.action == "attach" and isinstance(parent, str):
            self._check_parent(case, parent.lower())
        self._step(case, command.act)

    def _seen(self, command: PerformAction) -> Case:
        tracked = self.tracked.get(command.case)
        unseen = (
            command.properties is not None and tracked and tracked.case.property not in command.properties
        )
        if tracked is None or unseen:
            raise NotFound()
        return tracked.case

    def _check_parent(self, case: Case, parent: str) -> None:
        tracked = self.tracked.get(parent)
        if tracked is None or parent == case.id or tracked.case.property != case.property:
            raise InvalidInput.of("data.parent", "There is no such other case here", "未找到该工单")
        workflow = self._catalog.of(tracked.case)
        if not workflow.is_open(tracked.case.state) or tracked.case.state in (
            FOLDED,
            workflow.follow_up.state,
        ):
            raise InvalidInput.of("data.parent", "That case is not being worked on", "该工单已不在处理中")

    def _step(self, case: Case, act: ReportedAction) -> Case:
        workflow = self._catalog.of(case)
        transition = advance(workflow, case, act, self._catalog.terms(case), self._now)
        self._took(transition)
        return transition.after

    def _took(self, transition: Transition) -> None:
        after, before = transition.after, transition.before
        tracked = self.tracked[after.id]
        self._keep(replace(tracked, case=after))
        self.steps.append(DecidedStep(transition, self._trace))
        workflow = self._catalog.of(after)
        end = workflow.states[after.state].final
        finished = after.state == workflow.follow_up.state
        if (
            before is not None
            and before.state not in (after.state, workflow.follow_up.state)
            and (end or finished)
        ):
            self.ended[after.id] = "done" if finished else str(end)

    # What the system does by itself.

    def _system(
        self, case: Case, action: str, at: datetime | None = None, by: Actor = SYSTEM, **data: Any
    ) -> Case:
        """A step of the system's own; one that happened before the last entry is told as of that entry."""
        moment = None if at is None else min(max(at, case.at), max(self._now, case.at))
        return self._step(case, ReportedAction(action=action, actor=by, at=moment, data=data))

    def _look(self, case_id: str) -> None:
        tracked = self.tracked.get(case_id)
        if tracked is None:
            return
        self._keep(replace(tracked, looked=True))
        case = self._check_deadlines(tracked.case)
        workflow = self._catalog.of(case)
        if case.lease_until is not None and case.lease_until <= self._now and workflow.lease is not None:
            self._system(case, workflow.lease.action)
        self._assign_if_due(case_id)

    def _check_deadlines(self, case: Case) -> Case:
        workflow = self._catalog.of(case)
        if not workflow.is_open(case.state) or case.state == workflow.follow_up.state:
            return case
        watched = replace(
            case, deadlines=tuple(self._checked_deadline(case, deadline) for deadline in case.deadlines)
        )
        if watched != case:
            self._keep(replace(self.tracked[case.id], case=watched))
        return watched

    def _checked_deadline(self, case: Case, deadline: deadlines.Deadline) -> deadlines.Deadline:
        if deadline.passed(self._now) and deadline.missed_at is None:
            self.notices.append(DeadlineNotice(case, deadline, "missed", self._trace))
            return replace(deadline, missed_at=deadline.due_at, warned_at=deadline.warned_at or self._now)
        if deadlines.is_warning_due(deadline, self._now):
            self.notices.append(DeadlineNotice(case, deadline, "warned", self._trace))
            return replace(deadline, warned_at=self._now)
        return deadline

    def _assign_if_due(self, case_id: str, at: datetime | None = None) -> None:
        """Give it to somebody: as of `at` for a demand that is heard of late, else now.

        The first assignment belongs to the demand, so that what an offline phone did since can follow it.
        """
        case = self.tracked[case_id].case
        rule = self._catalog.of(case).assignment
        if rule is None or case.retry_at is None or case.retry_at > self._now or case.state != rule.state:
            return
        prop = self._catalog.property(case.property)
        person = assignment.choose_assignee(
            prop, self._catalog.need(case), self._load_of(case.property), self._now
        )
        if person is None:
            self._wait_for_somebody(case, at)
        else:
            self._system(case, rule.action, at, engineer=person)

    def _wait_for_somebody(self, case: Case, at: datetime | None) -> None:
        """Look again soon; each time that a lease has gone by with nobody there, one level up."""
        terms = self._catalog.terms(case)
        told = case.told_nobody_at
        if case.level < HIGHEST and (told is None or self._now - told >= terms.lease):
            case = self._system(replace(case, told_nobody_at=self._now), "escalate", at)
        self._keep(replace(self.tracked[case.id], case=replace(case, retry_at=self._now + RETRY)))

    # What others tell.

    def _tell(self, command: RecordSystemAction) -> None:
        tracked = self.tracked.get(command.case)
        if tracked is None or not self._catalog.of(tracked.case).is_open(tracked.case.state):
            return
        self._system(tracked.case, command.action, command.at, **command.data)

    def _take_back(self, command: WithdrawCase) -> None:
        tracked = self.tracked.get(command.case)
        if tracked is None:
            return
        workflow = self._catalog.of(tracked.case)
        actor = Actor(person=command.by, recorded_by="system", system=True)
        told = {"reason": command.reason} if command.reason else {}
        try:
            self._system(tracked.case, workflow.withdraw, command.at, actor, **told)
        except ActionNotAllowed:
            if workflow.is_open(tracked.case.state):
                self._system(tracked.case, "withdrawn_late", command.at, actor)

    def _conclude(self, command: ConcludeFollowUp) -> None:
        tracked = self.tracked.get(command.case)
        if tracked is None:
            raise NotFound()
        case, workflow = tracked.case, self._catalog.of(tracked.case)
        if case.state == workflow.follow_up.state:
            case = self._system(case, workflow.close, command.done.done_at)
        if command.dissatisfied and case.id not in self.reworked and not workflow.is_open(case.state):
            self.reworked.add(case.id)
            self._open(self._rework(case, command), tracked.request)

    def _rework(self, case: Case, command: ConcludeFollowUp) -> NewCase:
        prop, need = self._catalog.property(case.property), self._catalog.need(case)
        return NewCase(
            id=command.rework,
            property=case.property,
            kind=case.kind,
            raised_at=command.done.answered_at or command.done.done_at,
            actor=SYSTEM,
            priority=case.priority,
            line=case.line,
            subject=case.subject,
            perspective=case.perspective,
            language=case.language,
            rework_of=case.id,
            equipment=case.equipment,
            excluded=assignment.workers_to_exclude(prop, need, case.workers),
        )

    def end_children(self) -> None:
        """Cases that were folded into one that ended end as it did, each with its own follow-up."""
        ended, self.ended = self.ended, {}
        folded = [tracked.case for tracked in self.tracked.values() if tracked.case.state == FOLDED]
        for case in sorted(folded, key=lambda case: case.id):
            if case.parent in ended:
                self._end_with(case, self.tracked[case.parent].case, ended[case.parent])

    def _end_with(self, case: Case, parent: Case, how: str) -> None:
        if how == "done":
            case = replace(case, done_at=parent.done_at or parent.at, workers=parent.workers)
        action = {"done": "parent_done", "cancelled": "parent_cancelled"}.get(how, "parent_declined")
        self._system(case, action, parent.at)
        self._assign_if_due(case.id)

    # Bookkeeping.

    def _keep(self, tracked: TrackedCase) -> None:
        name = tracked.case.id
        before = self.tracked.get(name)
        self._undo.append((name, before))
        self._weigh(before, -1)
        self._weigh(tracked, 1)
        self.tracked[name] = tracked

    def _restore(self, name: str, before: TrackedCase | None) -> None:
        self._weigh(self.tracked.get(name), -1)
        self._weigh(before, 1)
        if before is None:
            del self.tracked[name]
        else:
            self.tracked[name] = before

    def _weigh(self, tracked: TrackedCase | None, by: int) -> None:
        if tracked is not None and tracked.case.assignee is not None and is_busy(self._catalog, tracked.case):
            self._load_of(tracked.case.property)[tracked.case.assignee] += by

    def _load_of(self, prop: str) -> Counter[str]:
        return self._loads.setdefault(prop, Counter())


def is_busy(catalog: WorkflowCatalog, case: Case) -> bool:
    """Whether the assignee is occupied by the case."""
    return case.assignee is not None and catalog.of(case).states[case.state].busy
