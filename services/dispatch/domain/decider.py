"""Decides the commands of a batch over their cases: pure, in order; a command that fails leaves no trace.

Everything that changes a case goes through here.
"""

from services.dispatch.domain.case import Actor, Case
from services.dispatch.domain.case_batch import CaseBatch, TrackedCase
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
from services.dispatch.domain.folding import check_parent
from services.dispatch.domain.opening import NewCase, open_case
from services.dispatch.domain.rework import plan_rework
from services.dispatch.domain.system_steps import assign_if_due, check_timers
from shared.errors import InvalidInput, NotFound, PreconditionFailed


class CaseDecider(CaseBatch):
    """A batch of cases, and how each command changes it."""

    def execute(self, command: Command) -> None:
        """Carry out one command. Raises a Problem and leaves everything as it was where it can't be."""
        with self.undo_on_error(command.trace):
            self._execute(command)

    def _execute(self, command: Command) -> None:
        match command:
            case OpenCase():
                self._open_case(command.new, command.request)
            case PerformAction():
                self._perform_action(command)
            case CheckDeadlines():
                check_timers(self, command.case)
            case RecordSystemAction():
                self._record_system_action(command)
            case WithdrawCase():
                self._withdraw_case(command)
            case ConcludeFollowUp():
                self._conclude_follow_up(command)

    def _open_case(self, new: NewCase, request: CaseRequest) -> None:
        if new.id in self.tracked:
            return
        workflow = self.catalog.workflow_for_kind(new.kind)
        transition = open_case(workflow, new, self.catalog.get_property(new.property), self.now)
        self.track(TrackedCase(transition.after, None, request, workflow))
        self.add_step(transition, workflow)
        assign_if_due(self, new.id, new.raised_at)

    def _perform_action(self, command: PerformAction) -> None:
        case = self._visible_case(command)
        if command.if_match is not None and case.version not in command.if_match:
            raise PreconditionFailed()
        people = self.catalog.terms_for(case).people
        if command.for_somebody and people and command.act.actor.person not in people:
            raise InvalidInput.of("actor", "There is no such person", "没有此人")
        parent = command.act.data.get("parent")
        if command.act.action == "attach" and isinstance(parent, str):
            check_parent(self, case, parent.lower())
        self.take_step(case, command.act)

    def _visible_case(self, command: PerformAction) -> Case:
        tracked = self.tracked.get(command.case)
        if tracked is None:
            raise NotFound()
        if command.properties is not None and tracked.case.property not in command.properties:
            raise NotFound()
        return tracked.case

    def _record_system_action(self, command: RecordSystemAction) -> None:
        tracked = self.tracked.get(command.case)
        if tracked is None or tracked.case.state not in tracked.workflow.open_states:
            return
        self.take_system_step(tracked.case, command.action, command.at, **command.data)

    def _withdraw_case(self, command: WithdrawCase) -> None:
        tracked = self.tracked.get(command.case)
        if tracked is None:
            return
        workflow = tracked.workflow
        actor = Actor(person=command.by, recorded_by="system", system=True)
        data = {"reason": command.reason} if command.reason else {}
        try:
            self.take_system_step(tracked.case, workflow.withdraw, command.at, actor, **data)
        except ActionNotAllowed:
            if tracked.case.state in workflow.open_states:
                self.take_system_step(tracked.case, "withdrawn_late", command.at, actor)

    def _conclude_follow_up(self, command: ConcludeFollowUp) -> None:
        tracked = self.tracked.get(command.case)
        if tracked is None:
            raise NotFound()
        case, workflow = tracked.case, tracked.workflow
        if case.state == workflow.follow_up.state:
            case = self.take_system_step(case, workflow.close, command.done.done_at)
        if command.dissatisfied and case.id not in self.reworked and case.state not in workflow.open_states:
            self.reworked.add(case.id)
            self._open_case(plan_rework(self.catalog, case, command), tracked.request)
