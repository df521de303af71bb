"""Draws every workflow as a Mermaid state diagram, from the machines themselves."""

from collections.abc import Iterator

from transitions import Machine

from services.dispatch.domain.workflow.definition import Workflow
from services.dispatch.domain.workflow.loader import load_workflows

_HEAD = """# Workflows

Drawn from the definitions in `services/dispatch/workflows/`; a test keeps this page current.
Beside what is drawn, every open case takes `note` and `urge`, can be folded into another (`attach` →
`folded`; it then ends as that one ends), and is `passed_on` where it comes from outside the served scope.
"""

_IMPLICIT = ("folded", "passed_on")


def render_workflows(workflows: dict[str, Workflow] | None = None) -> str:
    """The page with the picture of every workflow and the names of its states and actions."""
    found = load_workflows() if workflows is None else workflows
    return "\n".join([_HEAD, *(_chapter(found[name]) for name in sorted(found))])


def _chapter(workflow: Workflow) -> str:
    head = f"## {workflow.name} · {workflow.zh} (version {workflow.version})\n\n"
    drawing = "\n".join(["```mermaid", "stateDiagram-v2", *_drawing(workflow), "```"])
    return "\n".join([f"{head}Kinds: {_listed(workflow.kinds)}\n", drawing, "", *_tables(workflow)])


def _listed(words: tuple[str, ...]) -> str:
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
            asks = ", ".join(f"`{f.name}`{'' if f.required else '?'}: {f.told}" for f in action.fields)
            yield f"| `{name}` | {action.zh} | {who} | {asks} |"
    yield "\n| clock | 中文 | ends with | stands still in |"
    yield "| --- | --- | --- | --- |"
    for rule in workflow.deadline_rules:
        yield f"| `{rule.name}` | {rule.zh} | {_listed(rule.ends)} | {_listed(rule.pauses)} |"
    yield ""
