"""The cases of a batch while commands are decided over them: pure, and undone as a whole where one fails.

What the commands come to lies in `tracked`, `steps` and `notices`.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from services.dispatch.domain.case import SYSTEM, Actor, Case, ReportedAction, Transition
from services.dispatch.domain.commands import CaseRequest
from services.dispatch.domain.deadlines import Deadline
from services.dispatch.domain.transition import advance
from services.dispatch.domain.workflow.definition import End, Workflow
from services.dispatch.domain.workflow_catalog import WorkflowCatalog


class TrackedCase(Struct, frozen=True):
    """A case as it is now, as it was loaded (None: new), its request, and the definition that it runs by.

    `revision` counts how often it was written. `touched`: it is to be written even if it is as it was loaded,
    because its timers were due, or because something was decided that holds only while it stays so.
    """

    case: Case
    loaded: Case | None
    request: CaseRequest
    workflow: Workflow
    revision: int = 0
    touched: bool = False

    @property
    def is_changed(self) -> bool:
        """Whether it is to be written."""
        return self.touched or self.case is not self.loaded


class DecidedStep(Struct, frozen=True):
    """A transition, the definition that it went by, and the trace that it belongs to."""

    transition: Transition
    workflow: Workflow
    trace: str | None


class DeadlineNotice(Struct, frozen=True):
    """A deadline that is near (`warned`) or has passed unmet (`missed`)."""

    case: Case
    deadline: Deadline
    outcome: Literal["warned", "missed"]
    trace: str | None


class LoadsMissing(Exception):
    """How many open jobs the people of `property` have must be known, and was not read."""

    def __init__(self, property_id: str) -> None:
        super().__init__(property_id)
        self.property = property_id


class CaseBatch:
    """The cases by id, and what was decided of them. `loads`: open jobs by person, by property, as read.

    `ended` holds the cases that came to an end and how, `reworked` those that have a rework already.
    """

    def __init__(self, catalog: WorkflowCatalog, now: datetime, loads: Mapping[str, Counter[str]]) -> None:
        self.catalog = catalog
        self.now = now
        self._loads = loads
        self._load_changes: dict[str, Counter[str]] = {}
        self.tracked: dict[str, TrackedCase] = {}
        self.reworked: set[str] = set()
        self.ended: dict[str, End] = {}
        self.steps: list[DecidedStep] = []
        self.notices: list[DeadlineNotice] = []
        self._trace: str | None = None
        self._before: list[tuple[str, TrackedCase | None]] = []

    def load(self, case: Case, request: CaseRequest, revision: int) -> None:
        """Add a stored case; the loads count it already."""
        self.tracked[case.id] = TrackedCase(case, case, request, self.catalog.workflow_of(case), revision)

    def track(self, tracked: TrackedCase) -> None:
        """Put `tracked` in the place of what is there of this case."""
        case_id = tracked.case.id
        before = self.tracked.get(case_id)
        self._before.append((case_id, before))
        self._replace_tracked(case_id, before, tracked)

    def update_case(self, case: Case) -> None:
        """Put `case` in the place of the case of its id."""
        self.track(replace(self.tracked[case.id], case=case))

    def take_step(self, case: Case, action: ReportedAction) -> Case:
        """The case after `action`. Raises what `advance` raises."""
        workflow, terms = self.tracked[case.id].workflow, self.catalog.terms_for(case)
        transition = advance(workflow, case, action, terms, self.now)
        self.update_case(transition.after)
        self.add_step(transition, workflow)
        self._record_end(transition, workflow)
        return transition.after

    def take_system_step(
        self, case: Case, action: str, at: datetime | None = None, actor: Actor = SYSTEM, **data: object
    ) -> Case:
        """The case after a step of the system's own; one that happened before the last entry counts as of
        that entry."""
        moment = None if at is None else min(max(at, case.at), max(self.now, case.at))
        return self.take_step(case, ReportedAction(action=action, actor=actor, at=moment, data=data))

    def add_step(self, transition: Transition, workflow: Workflow) -> None:
        """Keep a transition for the history and for publication."""
        self.steps.append(DecidedStep(transition, workflow, self._trace))

    def add_notice(self, case: Case, deadline: Deadline, outcome: Literal["warned", "missed"]) -> None:
        """Keep for publication that a deadline is near or was missed."""
        self.notices.append(DeadlineNotice(case, deadline, outcome, self._trace))

    def touch(self, case_id: str) -> None:
        """Let the case be written even where it stays as it is."""
        self.track(replace(self.tracked[case_id], touched=True))

    def loads_in(self, property_id: str) -> Counter[str]:
        """How many open jobs each person of the property has, by what was decided so far.

        Raises LoadsMissing.
        """
        if property_id not in self._loads:
            raise LoadsMissing(property_id)
        loads = Counter(self._loads[property_id])
        loads.update(self._load_changes.get(property_id, {}))
        return loads

    @contextmanager
    def undo_on_error(self, trace: str | None) -> Iterator[None]:
        """Within it all steps belong to `trace`; an exception leaves the batch as it was."""
        self._trace = trace
        self._before.clear()
        steps, notices = len(self.steps), len(self.notices)
        reworked, ended = set(self.reworked), dict(self.ended)
        try:
            yield
        except Exception:
            for case_id, before in reversed(self._before):
                self._replace_tracked(case_id, self.tracked[case_id], before)
            del self.steps[steps:], self.notices[notices:]
            self.reworked, self.ended = reworked, ended
            raise

    def _record_end(self, transition: Transition, workflow: Workflow) -> None:
        """A case ends for those folded into it once: when its work is finished, or when it is over."""
        before, after = transition.before, transition.after
        if before is None or before.state in (after.state, workflow.follow_up.state):
            return
        end = "done" if after.state == workflow.follow_up.state else workflow.states[after.state].final
        if end is not None:
            self.ended[after.id] = end

    def _replace_tracked(self, case_id: str, old: TrackedCase | None, new: TrackedCase | None) -> None:
        self._change_load(old, -1)
        self._change_load(new, 1)
        if new is None:
            del self.tracked[case_id]
        else:
            self.tracked[case_id] = new

    def _change_load(self, tracked: TrackedCase | None, by: int) -> None:
        if tracked is None or tracked.case.assignee is None:
            return
        if tracked.workflow.states[tracked.case.state].busy:
            changes = self._load_changes.setdefault(tracked.case.property, Counter())
            changes[tracked.case.assignee] += by
