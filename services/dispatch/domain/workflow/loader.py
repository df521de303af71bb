"""Reads workflow files into definitions: the file's own words, those of every workflow, then the checks."""

import hashlib
import re
import tomllib
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field

from services.dispatch.domain.workflow.definition import (
    FOLDED,
    Action,
    AssignRule,
    DeadlineRule,
    End,
    Field,
    FollowUpRule,
    LeaseRule,
    State,
    Step,
    Workflow,
)
from services.dispatch.domain.workflow.lint import WorkflowRefused, lint
from shared.messages.facts import Kind, Line, Perspective

FOLDER = Path(__file__).resolve().parents[2] / "workflows"
_EVERY = Path(__file__).with_name("common.toml")
_DURATION = re.compile(r"(\d+)([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


class _Named(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    zh: str
    en: str


class _State(_Named, frozen=True, kw_only=True):
    final: End | None = None
    busy: bool = False


class _Field(_Named, frozen=True, kw_only=True):
    type: str
    required: bool = False
    choices: tuple[str, ...] = ()


class _Action(_Named, frozen=True, kw_only=True):
    roles: frozenset[str] = frozenset()
    fields: dict[str, _Field] = {}


class _Step(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    action: str
    sources: tuple[str, ...] = field(name="from")
    to: str
    when: dict[str, bool] = {}
    requires: tuple[str, ...] = ()
    guards: tuple[str, ...] = ()
    effects: tuple[str, ...] = ()


class _Clock(_Named, frozen=True, kw_only=True):
    ends: tuple[str, ...]
    pauses: tuple[str, ...] = ()


class _FollowUp(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    state: str
    within: str
    line: Line | None = None


class _Shared(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    states: dict[str, _State]
    actions: dict[str, _Action]
    steps: tuple[_Step, ...]


class _File(_Shared, frozen=True, kw_only=True):
    name: str
    version: int
    zh: str
    en: str
    prefix: str
    kinds: tuple[Kind, ...]
    perspectives: dict[Kind, Perspective] = {}
    initial: str
    withdraw: str
    close: str
    follow_up: _FollowUp
    clocks: dict[str, _Clock] = {}
    assignment: AssignRule | None = None
    lease: LeaseRule | None = None


def load_workflows(folder: Path = FOLDER) -> dict[str, Workflow]:
    """Every definition of `folder` by its name. Raises WorkflowRefused: file, field, and what is wrong."""
    found: dict[str, Workflow] = {}
    kinds: dict[str, str] = {}
    for path in sorted(folder.glob("*.toml")):
        workflow = read_workflow(path.read_text(encoding="utf-8"), path.name)
        if workflow.name in found:
            raise WorkflowRefused(path.name, "name", f"{workflow.name} is defined twice")
        for kind in workflow.kinds:
            if kinds.setdefault(kind, path.name) != path.name:
                raise WorkflowRefused(path.name, "kinds", f"{kind} is served by {kinds[kind]} already")
        found[workflow.name] = workflow
    return found


def read_workflow(text: str, file: str) -> Workflow:
    """The definition written in `text`; `file` is named in errors. Raises WorkflowRefused."""
    every = _parse(_EVERY.read_text(encoding="utf-8"), _EVERY.name, _Shared)
    own = _parse(text, file, _File)
    workflow = _build(own, every, file, text)
    lint(workflow, file)
    return workflow


def _parse(text: str, file: str, shape: type[Any]) -> Any:
    try:
        return msgspec.convert(tomllib.loads(text), shape)
    except tomllib.TOMLDecodeError as error:
        raise WorkflowRefused(file, "", str(error)) from error
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at ")
        raise WorkflowRefused(file, path.strip("`").removeprefix("$").removeprefix("."), message) from error


def _build(own: _File, every: _Shared, file: str, text: str) -> Workflow:
    states = _states(own.states) | _states(every.states)
    steps = [*_own_steps(own), *(_resolved(step, own, states, file) for step in every.steps)]
    return Workflow(
        name=own.name,
        version=own.version,
        zh=own.zh,
        en=own.en,
        prefix=own.prefix,
        kinds=own.kinds,
        perspectives=own.perspectives,
        initial=own.initial,
        withdraw=own.withdraw,
        close=own.close,
        follow_up=FollowUpRule(
            state=own.follow_up.state,
            within=_duration(own.follow_up.within, file, "follow_up.within"),
            line=own.follow_up.line,
        ),
        states=states,
        actions=_actions(own.actions, file) | _actions(every.actions, _EVERY.name),
        steps=tuple(steps),
        everywhere=frozenset(every.actions),
        deadline_rules=tuple(_deadline_rule(name, rule) for name, rule in own.clocks.items()),
        assignment=own.assignment,
        lease=own.lease,
        digest=hashlib.sha256(msgspec.json.encode(own, order="deterministic")).hexdigest(),
        text=text,
    )


def _states(found: dict[str, _State]) -> dict[str, State]:
    return {n: State(name=n, zh=s.zh, en=s.en, final=s.final, busy=s.busy) for n, s in found.items()}


def _actions(found: dict[str, _Action], file: str) -> dict[str, Action]:
    return {
        name: Action(
            name=name,
            zh=action.zh,
            en=action.en,
            roles=action.roles,
            fields=tuple(_field(n, f, file, f"actions.{name}.fields.{n}") for n, f in action.fields.items()),
        )
        for name, action in found.items()
    }


def _field(name: str, found: _Field, file: str, path: str) -> Field:
    try:
        return msgspec.convert({"name": name, **msgspec.structs.asdict(found)}, Field)
    except msgspec.ValidationError as error:
        raise WorkflowRefused(file, path, str(error)) from error


def _deadline_rule(name: str, found: _Clock) -> DeadlineRule:
    return DeadlineRule(name=name, zh=found.zh, en=found.en, ends=found.ends, pauses=found.pauses)


def _duration(text: str, file: str, path: str) -> timedelta:
    match = _DURATION.fullmatch(text)
    if match is None:
        raise WorkflowRefused(file, path, "a duration is a number and m, h or d, as in 24h")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _own_steps(own: _File) -> Iterable[Step]:
    for step in own.steps:
        folded = (FOLDED,) if step.action == own.withdraw else ()  # a folded case can be taken back, too
        yield _step(step, step.sources + folded, step.to)


def _resolved(step: _Step, own: _File, states: dict[str, State], file: str) -> Step:
    """A step of every workflow in the words of this one."""
    opened = [name for name, state in states.items() if state.final is None]
    sources = {
        "@any": opened,
        "@open": [name for name in opened if name not in (FOLDED, own.follow_up.state)],
        "@initial": [own.initial],
    }.get(step.sources[0], list(step.sources))
    targets = {"@initial": own.initial, "@follow_up": own.follow_up.state}
    to = _withdrawn(own, file) if step.to == "@withdrawn" else targets.get(step.to, step.to)
    return _step(step, tuple(sources), to)


def _withdrawn(own: _File, file: str) -> str:
    for step in own.steps:
        if step.action == own.withdraw:
            return step.to
    raise WorkflowRefused(file, "withdraw", f"no step does {own.withdraw}")


def _step(step: _Step, sources: tuple[str, ...], to: str) -> Step:
    return Step(
        action=step.action,
        sources=sources,
        to=to,
        when=step.when,
        requires=step.requires,
        guards=step.guards,
        effects=step.effects,
    )
