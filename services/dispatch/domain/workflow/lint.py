"""Refuses a workflow that could not be lived by: each error names the file, the field and what is wrong.

Blank texts, kinds and their fields are looked at where kinds are read, `shared.properties.kind_files`.
"""

import re
from collections.abc import Iterator

from services.dispatch.domain.effects import EFFECTS
from services.dispatch.domain.guards import GUARDS
from services.dispatch.domain.workflow.definition import FOLDED, Action, Step, Workflow
from shared.auth import ROLES
from shared.properties.kind_files import WorkflowRefused

STAY = "="
_PREFIX = re.compile(r"[A-Z]{2}")
_SYSTEM_FIELDS = {"withdraw": "reason", "assignment": "engineer"}
"""What the system itself fills in where it does an action that the head of a file names."""


def lint(workflow: Workflow, file: str) -> None:
    """Raises WorkflowRefused for the first thing that is wrong with `workflow`."""
    checks = (
        _check_head,
        _check_steps,
        _check_effects,
        _check_stamps,
        _check_deadline_rules,
        _check_actions,
        _check_system_actions,
        _check_branches,
        _find_unreachable_states,
        _find_dead_ends,
    )
    for check in checks:
        for field, reason in check(workflow):
            raise WorkflowRefused(file, field, reason)


Mistakes = Iterator[tuple[str, str]]


def _check_head(workflow: Workflow) -> Mistakes:
    if not _PREFIX.fullmatch(workflow.prefix):
        yield "prefix", "is two letters from A to Z"
    states = {"initial": workflow.initial, "follow_up.state": workflow.follow_up.state}
    if workflow.assignment:
        states["assignment.state"] = workflow.assignment.state
    if workflow.lease:
        states["lease.state"] = workflow.lease.state
    for path, state in states.items():
        if state not in workflow.states:
            yield path, f"there is no state {state}"
        elif workflow.states[state].final:
            yield path, f"{state} is final"
    for path, action in _named_actions(workflow).items():
        if not any(step.action == action for step in workflow.steps):
            yield path, f"no step does {action}"


def _named_actions(workflow: Workflow) -> dict[str, str]:
    """The actions that the head of the file names, which the system itself does."""
    actions = {"withdraw": workflow.withdraw, "close": workflow.close}
    if workflow.assignment:
        actions["assignment.action"] = workflow.assignment.action
    if workflow.lease:
        actions["lease.action"] = workflow.lease.action
    return actions


def _check_steps(workflow: Workflow) -> Mistakes:
    for number, step in enumerate(workflow.steps):
        path = f"steps[{number}] ({step.action})"
        if step.action not in workflow.actions:
            yield f"{path}.action", f"there is no action {step.action}"
        if not step.sources:
            yield f"{path}.from", "names no state"
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


def _check_effects(workflow: Workflow) -> Mistakes:
    """An effect works with what its action asks for."""
    for number, step in enumerate(workflow.steps):
        for effect in step.effects:
            for name, kind in EFFECTS[effect].fields.items():
                if not _asks_for(workflow.actions[step.action], step, name, kind):
                    reason = (
                        f"{effect} works with the field {name} ({kind}), and {step.action} need not have it"
                    )
                    yield f"steps[{number}] ({step.action}).effects", reason


def _asks_for(action: Action, step: Step, name: str, kind: str) -> bool:
    return any(
        field.name == name and field.type == kind and (field.required or name in step.requires)
        for field in action.fields
    )


def _check_stamps(workflow: Workflow) -> Mistakes:
    for number, step in enumerate(workflow.steps):
        uses = {"requires_stamps": step.requires_stamps, "stamp": step.stamp, "unstamp": step.unstamp}
        for key, names in uses.items():
            for name in names:
                if name not in workflow.stamps:
                    yield f"steps[{number}] ({step.action}).{key}", f"there is no stamp {name}"
    stamped = {name for step in workflow.steps for name in step.stamp}
    for name in workflow.stamps:
        if name not in stamped:
            yield f"stamps.{name}", "no step gives it"


def _check_deadline_rules(workflow: Workflow) -> Mistakes:
    for rule in workflow.deadline_rules:
        for action in rule.ends:
            if action not in workflow.actions:
                yield f"clocks.{rule.name}.ends", f"there is no action {action}"
        for state in rule.pauses:
            if state not in workflow.states:
                yield f"clocks.{rule.name}.pauses", f"there is no state {state}"


def _check_actions(workflow: Workflow) -> Mistakes:
    for name, action in workflow.actions.items():
        if not any(step.action == name for step in workflow.steps):
            yield f"actions.{name}", "no step does it"
        unknown = action.roles - set(ROLES)
        if unknown:
            yield f"actions.{name}.roles", f"there is no role {min(unknown)}"
        for field in action.fields:
            if (field.type == "enum") != bool(field.choices):
                yield f"actions.{name}.fields.{field.name}.choices", "an enum has choices, nothing else has"


def _check_system_actions(workflow: Workflow) -> Mistakes:
    """What the system itself does must not need what the system can't tell."""
    for path, name in _named_actions(workflow).items():
        action, filled = workflow.actions[name], _SYSTEM_FIELDS.get(path.partition(".")[0])
        for field in action.fields:
            if field.required and field.name != filled:
                yield (
                    f"actions.{name}.fields.{field.name}.required",
                    "the system does this, and can't fill it in",
                )
        if filled is not None and filled not in {field.name for field in action.fields}:
            yield f"actions.{name}.fields", f"the system fills in {filled} here"


def _check_branches(workflow: Workflow) -> Mistakes:
    """Two steps of one action from one state must be distinguished by a bool with a way for each value."""
    for state, steps in workflow.by_state.items():
        for action in {step.action for step in steps}:
            ways = [step.when for step in steps if step.action == action]
            if len(ways) == 1 and not ways[0]:
                continue
            if any(len(when) != 1 for when in ways) or len({next(iter(when)) for when in ways}) != 1:
                yield f"steps ({action})", f"from {state} it is not clear which way it goes"
            elif sorted(next(iter(when.values())) for when in ways) != [False, True]:
                yield f"steps ({action})", f"from {state} it needs one way for true and one for false"


def _find_unreachable_states(workflow: Workflow) -> Mistakes:
    reached, ahead = {workflow.initial}, [workflow.initial]
    while ahead:
        for step in workflow.by_state[ahead.pop()]:
            if step.to != STAY and step.to not in reached:
                reached.add(step.to)
                ahead.append(step.to)
    for state in workflow.states:
        if state not in reached:
            yield f"states.{state}", "can't be reached"


def _find_dead_ends(workflow: Workflow) -> Mistakes:
    """Every open state must lead to a final one by the workflow's own steps."""
    ending = {name for name, state in workflow.states.items() if state.final}
    for _ in workflow.states:
        for step in workflow.steps:
            if step.to in ending and step.action not in workflow.everywhere:
                ending.update(step.sources)
    for state in workflow.states:
        if state not in ending and state != FOLDED:
            yield f"states.{state}", "has no way to an end, and is not final"
