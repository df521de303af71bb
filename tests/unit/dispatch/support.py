"""What the tests of cases share: a property, a case of it, and a story of steps."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from services.dispatch.domain.case import Actor, Case, CaseTerms, ReportedAction, Transition
from services.dispatch.domain.opening import NewCase, open_case
from services.dispatch.domain.transition import advance
from services.dispatch.domain.workflow.definition import Workflow
from services.dispatch.domain.workflow.loader import load_workflows
from shared.messages.facts import Kind
from shared.properties.property import Property
from shared.properties.roster import Person

WORKFLOWS = load_workflows()
START = datetime(2026, 11, 23, 1, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def person(name: str, *roles: str, skills: Sequence[str] = ("*",), rung: int = 1) -> Person:
    return Person(id=name, name=name, roles=list(roles), skills=list(skills), rung=rung)  # type: ignore[arg-type]


PEOPLE = [
    person("wang", "engineer"),
    person("li", "engineer"),
    person("zhao", "dispatcher"),
    person("qian", "quality"),
]
TOWER = Property(id="tower", name="Tower", timezone=ZoneInfo("Asia/Shanghai"), people=PEOPLE)


def actor(name: str, *roles: str) -> Actor:
    return Actor(person=name, recorded_by=name, roles=frozenset(roles))


WANG, LI = actor("wang", "engineer"), actor("li", "engineer")
ZHAO, QIAN = actor("zhao", "dispatcher"), actor("qian", "quality")


def workflow_of(kind: str) -> Workflow:
    return next(workflow for workflow in WORKFLOWS.values() if kind in workflow.kinds)


def opened_case(kind: Kind, prop: Property = TOWER, **fields: Any) -> Case:
    new = NewCase(id="c1", property="tower", kind=kind, raised_at=START, actor=actor("app"), **fields)
    return open_case(workflow_of(kind), new, prop, START).after


class Story:
    """A case that takes steps, each so long after the one before."""

    def __init__(self, kind: Kind, prop: Property = TOWER, /, **fields: Any) -> None:
        self.workflow = workflow_of(kind)
        self.prop = prop
        self.case = opened_case(kind, prop, **fields)
        self.now = START

    def step(self, who: Actor, action: str, after: timedelta = MINUTE, /, **data: Any) -> Transition:
        self.now += after
        return self.take(ReportedAction(action=action, actor=who, data=data))

    def take(self, act: ReportedAction) -> Transition:
        terms = CaseTerms.of(self.prop, self.case.kind, self.case.priority)
        transition = advance(self.workflow, self.case, act, terms, self.now)
        self.case = transition.after
        return transition

    def deadline(self, name: str) -> Any:
        return next(deadline for deadline in self.case.deadlines if deadline.name == name)
