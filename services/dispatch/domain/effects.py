"""What the effects do that a step of a workflow may name: each makes of a case the case after it."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from services.dispatch.domain.case import Actor, Case, Finding


class StepContext(Struct, frozen=True, kw_only=True):
    """A step being taken: the case so far, by whom, when, with what."""

    case: Case
    actor: Actor
    at: datetime
    data: dict[str, Any]


class Effect(Struct, frozen=True):
    """`apply` gives the case after it; `fields` are those, by type, that the step's action must ask for."""

    apply: Callable[[StepContext], Case]
    fields: Mapping[str, str] = {}


def _with_person(people: tuple[str, ...], person: str | None) -> tuple[str, ...]:
    return people if person is None or person in people else (*people, person)


def _assign(step: StepContext) -> Case:
    return replace(step.case, assignee=step.data["engineer"], retry_at=None, told_nobody_at=None)


def _unassign(step: StepContext) -> Case:
    return replace(step.case, assignee=None)


def _exclude(step: StepContext) -> Case:
    return replace(step.case, excluded=_with_person(step.case.excluded, step.case.assignee))


def _lapse(step: StepContext) -> Case:
    return replace(step.case, lapsed=_with_person(step.case.lapsed, step.case.assignee))


def _escalate(step: StepContext) -> Case:
    return replace(step.case, level=step.case.level + 1)


def _work(step: StepContext) -> Case:
    worker = step.case.assignee or (None if step.actor.system else step.actor.person)
    return replace(step.case, workers=_with_person(step.case.workers, worker))


def _complete(step: StepContext) -> Case:
    return replace(step.case, completed_at=step.case.completed_at or step.at, done_at=step.at)


def _inspect(step: StepContext) -> Case:
    if step.case.inspected_at is not None:
        return step.case
    return replace(step.case, inspected_at=step.at, inspection_passed=step.data["passed"])


def _judge(step: StepContext) -> Case:
    valid = step.data["valid"]
    finding = Finding(valid=valid, at=step.at, by=step.actor.person, effective_at=step.at if valid else None)
    return replace(step.case, findings=(*step.case.findings, finding))


def _countersign(step: StepContext) -> Case:
    *earlier, latest = step.case.findings
    return replace(step.case, findings=(*earlier, replace(latest, effective_at=step.at)))


def _urge(step: StepContext) -> Case:
    return replace(step.case, urged=step.case.urged + 1)


def _fold(step: StepContext) -> Case:
    return replace(step.case, parent=step.data["parent"], assignee=None, ended_at=step.at)


def _unfold(step: StepContext) -> Case:
    return replace(step.case, parent=None, ended_at=None)


EFFECTS: Mapping[str, Effect] = {
    "assign": Effect(_assign, {"engineer": "person"}),
    "unassign": Effect(_unassign),
    "exclude": Effect(_exclude),
    "lapse": Effect(_lapse),
    "escalate": Effect(_escalate),
    "work": Effect(_work),
    "complete": Effect(_complete),
    "inspect": Effect(_inspect, {"passed": "bool"}),
    "judge": Effect(_judge, {"valid": "bool"}),
    "countersign": Effect(_countersign),
    "urge": Effect(_urge),
    "fold": Effect(_fold, {"parent": "case"}),
    "unfold": Effect(_unfold),
}
"""By the name that a definition gives it."""


def apply_effects(names: tuple[str, ...], step: StepContext) -> Case:
    """The case after the effects `names`, in their order."""
    case = step.case
    for name in names:
        case = EFFECTS[name].apply(replace(step, case=case))
    return case
