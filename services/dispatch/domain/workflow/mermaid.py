"""Draws every workflow as a Mermaid state diagram, from the machines themselves."""

from collections.abc import Iterable, Iterator, Mapping

from transitions import Machine

from services.dispatch.domain.workflow.definition import Workflow
from services.dispatch.domain.workflow.loader import load_workflows
from shared.messages.kinds import describe_type

_HEAD = """# Workflows

Drawn from the definitions in `services/dispatch/workflows/`; a test keeps this page current.
Beside what is drawn, every open case takes `note` and `urge`, can be folded into another (`attach` →
`folded`; it then ends as that one ends), and is `passed_on` where it comes from outside the served scope.
"""

_IMPLICIT = ("folded", "passed_on")


def render_workflows(workflows: Mapping[str, Workflow] | None = None) -> str:
    """The page with the picture of every workflow, its kinds, and the names of its states and actions."""
    drawn = load_workflows() if workflows is None else workflows
    return "\n".join([_HEAD, *(_chapter(drawn[name]) for name in sorted(drawn))])


def _chapter(workflow: Workflow) -> str:
    head = f"## {workflow.name} · {workflow.zh} (version {workflow.version})\n\n"
    drawing = "\n".join(["```mermaid", "stateDiagram-v2", *_drawing(workflow), "```"])
    return "\n".join([head + "\n".join(_kinds(workflow)), drawing, "", *_tables(workflow)])


def _kinds(workflow: Workflow) -> Iterator[str]:
    yield "| kind | 中文 | English | perspective | asks for in `details` |\n| --- | --- | --- | --- | --- |"
    for name, kind in workflow.kinds.items():
        asks = ", ".join(
            f"`{field}`{'' if detail.required else '?'}: {describe_type(detail)}"
            for field, detail in kind.fields.items()
        )
        yield f"| `{name}` | {kind.zh} | {kind.en} | {kind.perspective} | {asks or 'anything'} |"
    yield ""


def _listed(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _drawing(workflow: Workflow) -> Iterator[str]:
    machine = workflow.machine
    yield f"    [*] --> {machine.initial}"
    for name, state in workflow.states.items():
        if name not in _IMPLICIT:
            yield f"    {name} : {state.zh} {name}"
    yield from _arrows(machine, workflow.everywhere)
    for name, state in workflow.states.items():
        if state.final and name not in _IMPLICIT:
            yield f"    {name} --> [*]"


def _arrows(machine: Machine, left_out: frozenset[str]) -> Iterator[str]:
    for action, event in machine.events.items():
        if action in left_out:
            continue
        for source, ways in event.transitions.items():
            for way in ways:
                if way.dest is not None and source not in _IMPLICIT and way.dest not in _IMPLICIT:
                    yield f"    {source} --> {way.dest} : {action}"


def _tables(workflow: Workflow) -> Iterator[str]:
    yield "| action | 中文 | who | asks for |\n| --- | --- | --- | --- |"
    for name, action in workflow.actions.items():
        if name not in workflow.everywhere:
            who = ", ".join(sorted(action.roles)) or "the system"
            asks = ", ".join(f"`{f.name}`{'' if f.required else '?'}: {f.type_name}" for f in action.fields)
            yield f"| `{name}` | {action.zh} | {who} | {asks} |"
    yield "\n| clock | 中文 | ends with | stands still in |"
    yield "| --- | --- | --- | --- |"
    for rule in workflow.deadline_rules:
        yield f"| `{rule.name}` | {rule.zh} | {_listed(rule.ends)} | {_listed(rule.pauses)} |"
    yield from _stamps(workflow)
    yield ""


def _stamps(workflow: Workflow) -> Iterator[str]:
    if workflow.stamps:
        yield "\n| stamp | 中文 | given by | taken by | required by |\n| --- | --- | --- | --- | --- |"
    for name, stamp in workflow.stamps.items():
        steps = workflow.steps
        giving = _listed(step.action for step in steps if name in step.stamp)
        taking = _listed(step.action for step in steps if name in step.unstamp)
        requiring = _listed(step.action for step in steps if name in step.requires_stamps)
        yield f"| `{name}` | {stamp.zh} | {giving} | {taking} | {requiring} |"
