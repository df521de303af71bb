"""Refuses a workflow that could not be lived by: each error names the file, the field and what is wrong."""

from collections.abc import Iterable, Iterator

from services.dispatch.domain.workflow.definition import FOLDED, Workflow
from services.dispatch.domain.workflow.vocabulary import EFFECTS, GUARDS, ROLES

STAY = "="


class WorkflowRefused(Exception):
    """A definition that can't be used: `file`, `field` and `reason` say where and why."""

    def __init__(self, file: str, field: str, reason: str) -> None:
        super().__init__(f"{file}: {field}: {reason}" if field else f"{file}: {reason}")
        self.file, self.field, self.reason = file, field, reason


def lint(workflow: Workflow, file: str) -> None:
    """Raises WorkflowRefused for the first thing that is wrong with `workflow`."""
    for check in (_names, _head, _steps, _deadline_rules, _actions, _choices, _reachable, _dead_ends):
        for field, reason in check(workflow):
            raise WorkflowRefused(file, field, reason)


Findings = Iterator[tuple[str, str]]


def _names(workflow: Workflow) -> Findings:
    for what in ("zh", "en", "name", "prefix"):
        if not getattr(workflow, what).strip():
            yield what, "needs a word"
    for path, named in _everything_named(workflow):
        for language in ("zh", "en"):
            if not getattr(named, language).strip():
                yield f"{path}.{language}", "needs a name"


def _everything_named(workflow: Workflow) -> Iterable[tuple[str, object]]:
    yield from ((f"states.{name}", state) for name, state in workflow.states.items())
    yield from ((f"clocks.{rule.name}", rule) for rule in workflow.deadline_rules)
    for name, action in workflow.actions.items():
        yield f"actions.{name}", action
        yield from ((f"actions.{name}.fields.{field.name}", field) for field in action.fields)


def _head(workflow: Workflow) -> Findings:
    if workflow.version < 1:
        yield "version", "begins at 1"
    named = {"initial": workflow.initial, "follow_up.state": workflow.follow_up.state}
    if workflow.assignment:
        named["assignment.state"] = workflow.assignment.state
    if workflow.lease:
        named["lease.state"] = workflow.lease.state
    for path, state in named.items():
        if state not in workflow.states:
            yield path, f"there is no state {state}"
    doing = {"withdraw": workflow.withdraw, "close": workflow.close}
    if workflow.assignment:
        doing["assignment.action"] = workflow.assignment.action
    if workflow.lease:
        doing["lease.action"] = workflow.lease.action
    for path, action in doing.items():
        if not any(step.action == action for step in workflow.steps):
            yield path, f"no step does {action}"


def _steps(workflow: Workflow) -> Findings:
    for number, step in enumerate(workflow.steps):
        path = f"steps[{number}] ({step.action})"
        if step.action not in workflow.actions:
            yield f"{path}.action", f"there is no action {step.action}"
        for state in (*step.sources, *(() if step.to == STAY else (step.to,))):
            if state not in workflow.states:
                yield f"{path}.{'to' if state == step.to else 'from'}", f"there is no state {state}"
        yield from ((f"{path}.guards", f"there is no guard {g}") for g in step.guards if g not in GUARDS)
        yield from ((f"{path}.effects", f"there is no effect {e}") for e in step.effects if e not in EFFECTS)
        fields = {field.name: field.type for field in workflow.actions[step.action].fields}
        yield from ((f"{path}.requires", f"there is no field {n}") for n in step.requires if n not in fields)
        yield from ((f"{path}.when", f"there is no bool {n}") for n in step.when if fields.get(n) != "bool")
        if any(workflow.states[source].final for source in step.sources):
            yield f"{path}.from", "a final state has no way out"


def _deadline_rules(workflow: Workflow) -> Findings:
    for rule in workflow.deadline_rules:
        for action in rule.ends:
            if action not in workflow.actions:
                yield f"clocks.{rule.name}.ends", f"there is no action {action}"
        for state in rule.pauses:
            if state not in workflow.states:
                yield f"clocks.{rule.name}.pauses", f"there is no state {state}"


def _actions(workflow: Workflow) -> Findings:
    for name, action in workflow.actions.items():
        if not any(step.action == name for step in workflow.steps):
            yield f"actions.{name}", "no step does it"
        unknown = action.roles - ROLES
        if unknown:
            yield f"actions.{name}.roles", f"there is no role {min(unknown)}"
        for field in action.fields:
            if (field.type == "enum") != bool(field.choices):
                yield f"actions.{name}.fields.{field.name}.choices", "an enum has choices, nothing else has"


def _choices(workflow: Workflow) -> Findings:
    """Two steps of one action from one state must be told apart by a bool with a way for each value."""
    for state, steps in workflow.by_state.items():
        for action in {step.action for step in steps}:
            ways = [step.when for step in steps if step.action == action]
            if len(ways) == 1 and not ways[0]:
                continue
            if any(len(when) != 1 for when in ways) or len({next(iter(when)) for when in ways}) != 1:
                yield f"steps ({action})", f"from {state} it is not clear which way it goes"
            elif sorted(next(iter(when.values())) for when in ways) != [False, True]:
                yield f"steps ({action})", f"from {state} it needs one way for true and one for false"


def _reachable(workflow: Workflow) -> Findings:
    seen, ahead = {workflow.initial}, [workflow.initial]
    while ahead:
        for step in workflow.by_state[ahead.pop()]:
            if step.to != STAY and step.to not in seen:
                seen.add(step.to)
                ahead.append(step.to)
    for state in workflow.states:
        if state not in seen:
            yield f"states.{state}", "can't be reached"


def _dead_ends(workflow: Workflow) -> Findings:
    """Every open state must lead to a final one by the workflow's own steps."""
    alive = {name for name, state in workflow.states.items() if state.final}
    for _ in workflow.states:
        for step in workflow.steps:
            if step.to in alive and step.action not in workflow.everywhere:
                alive.update(step.sources)
    for state in workflow.states:
        if state not in alive and state != FOLDED:
            yield f"states.{state}", "has no way to an end, and is not final"
