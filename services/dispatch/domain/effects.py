"""What the guards and effects that definitions name do. `workflow.words` lists the same names."""

from collections.abc import Callable
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from services.dispatch.domain.case import Actor, Case, Finding

Effect = Callable[["StepContext"], Case]


class StepContext(Struct, frozen=True, kw_only=True):
    """A step being taken: the case so far, by whom, when, with what."""

    case: Case
    actor: Actor
    at: Any
    data: dict[str, Any]


def _with_person(people: tuple[str, ...], person: str | None) -> tuple[str, ...]:
    return people if person is None or person in people else (*people, person)


def _assign(done: StepContext) -> Case:
    return replace(done.case, assignee=done.data["engineer"], retry_at=None, told_nobody_at=None)


def _unassign(done: StepContext) -> Case:
    return replace(done.case, assignee=None)


def _exclude(done: StepContext) -> Case:
    return replace(done.case, excluded=_with_person(done.case.excluded, done.case.assignee))


def _lapse(done: StepContext) -> Case:
    return replace(done.case, lapsed=_with_person(done.case.lapsed, done.case.assignee))


def _escalate(done: StepContext) -> Case:
    return replace(done.case, level=done.case.level + 1)


def _work(done: StepContext) -> Case:
    worker = done.case.assignee or (None if done.actor.system else done.actor.person)
    return replace(done.case, workers=_with_person(done.case.workers, worker))


def _complete(done: StepContext) -> Case:
    return replace(done.case, completed_at=done.case.completed_at or done.at, done_at=done.at)


def _inspect(done: StepContext) -> Case:
    if done.case.inspected_at is not None:
        return done.case
    return replace(done.case, inspected_at=done.at, inspection_passed=done.data["passed"])


def _judge(done: StepContext) -> Case:
    valid = done.data["valid"]
    finding = Finding(valid=valid, at=done.at, by=done.actor.person, effective_at=done.at if valid else None)
    return replace(done.case, findings=(*done.case.findings, finding))


def _countersign(done: StepContext) -> Case:
    *earlier, latest = done.case.findings
    return replace(done.case, findings=(*earlier, replace(latest, effective_at=done.at)))


def _explain(done: StepContext) -> Case:
    return replace(done.case, explained_at=done.at)


def _consent(done: StepContext) -> Case:
    return replace(done.case, consented_at=done.at)


def _revoke(done: StepContext) -> Case:
    return replace(done.case, consented_at=None)


def _urge(done: StepContext) -> Case:
    return replace(done.case, urged=done.case.urged + 1)


def _fold(done: StepContext) -> Case:
    return replace(done.case, parent=done.data["parent"], assignee=None, ended_at=done.at)


def _unfold(done: StepContext) -> Case:
    return replace(done.case, parent=None, ended_at=None)


APPLY_EFFECT: dict[str, Effect] = {
    "assign": _assign,
    "unassign": _unassign,
    "exclude": _exclude,
    "lapse": _lapse,
    "escalate": _escalate,
    "work": _work,
    "complete": _complete,
    "inspect": _inspect,
    "judge": _judge,
    "countersign": _countersign,
    "explain": _explain,
    "consent": _consent,
    "revoke": _revoke,
    "urge": _urge,
    "fold": _fold,
    "unfold": _unfold,
}

CASE_GUARDS: dict[str, Callable[[Case], bool]] = {
    "countersigned": lambda case: bool(case.findings) and case.findings[-1].effective_at is not None,
    "unsigned": lambda case: bool(case.findings) and case.findings[-1].effective_at is None,
    "explained": lambda case: case.explained_at is not None,
    "consented": lambda case: case.consented_at is not None,
    "outside_scope": lambda case: case.outside is not None,
}
"""Guards that ask the case."""

ACTOR_GUARDS: dict[str, Callable[[Case, str], bool]] = {
    "other_judge": lambda case, person: all(finding.by != person for finding in case.findings),
    "other_signer": lambda case, person: not case.findings or case.findings[-1].by != person,
}
"""Guards that ask who acts: 1 % of valid complaints would otherwise be self-certified."""
