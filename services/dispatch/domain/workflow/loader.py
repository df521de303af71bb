"""Reads workflow files into definitions: the file's own words, those of every workflow, then the checks."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Literal

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
from services.dispatch.domain.workflow.lint import lint
from shared.messages.facts import Kind, Line
from shared.messages.kinds import KindEntry, LocalizedName, Word
from shared.properties.kind_files import (
    Tables,
    WorkflowRefused,
    convert_tables,
    find_served_twice,
    list_workflow_files,
    parse_tables,
    read_kinds,
    read_tables,
)
from shared.settings import PACKAGED_WORKFLOWS

_COMMON = Path(__file__).with_name("common.toml")
_DURATION = re.compile(r"(\d+)([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


class _State(LocalizedName, frozen=True, kw_only=True):
    final: End | None = None
    busy: bool = False


class _Field(LocalizedName, frozen=True, kw_only=True):
    type: Literal["text", "bool", "int", "person", "timestamp", "case", "enum"]
    required: bool = False
    choices: Mapping[Word, LocalizedName] = {}


class _Action(LocalizedName, frozen=True, kw_only=True):
    roles: frozenset[str] = frozenset()
    fields: Mapping[Word, _Field] = {}


class _Step(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    action: str
    sources: tuple[str, ...] = field(name="from")
    to: str
    when: dict[str, bool] = {}
    requires: tuple[str, ...] = ()
    guards: tuple[str, ...] = ()
    effects: tuple[str, ...] = ()
    requires_stamps: tuple[str, ...] = ()
    stamp: tuple[str, ...] = ()
    unstamp: tuple[str, ...] = ()


class _Clock(LocalizedName, frozen=True, kw_only=True):
    ends: tuple[str, ...]
    pauses: tuple[str, ...] = ()


class _FollowUp(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    state: str
    within: str
    line: Line | Literal["named"] = "customer_service"


class _Common(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    states: Mapping[Word, _State]
    actions: Mapping[Word, _Action]
    steps: tuple[_Step, ...]


class _File(_Common, frozen=True, kw_only=True):
    name: Word
    version: int
    zh: str
    en: str
    prefix: str
    kinds: Mapping[Kind, KindEntry]
    stamps: Mapping[Word, LocalizedName] = {}
    initial: str
    withdraw: str
    close: str
    follow_up: _FollowUp
    clocks: Mapping[Word, _Clock] = {}
    assignment: AssignRule | None = None
    lease: LeaseRule | None = None


def load_workflows(folders: Sequence[Path] = (PACKAGED_WORKFLOWS,)) -> dict[str, Workflow]:
    """Every definition of `folders` by its name. Raises WorkflowRefused: file, field, and what is wrong."""
    workflows, mistakes = read_workflow_files(list_workflow_files(folders))
    for refused in mistakes:
        raise refused
    return {workflow.name: workflow for workflow in workflows.values()}


def read_workflow_files(files: Iterable[Path]) -> tuple[dict[str, Workflow], list[WorkflowRefused]]:
    """The definitions by their files, and the first thing that is wrong with each other file."""
    workflows: dict[str, Workflow] = {}
    mistakes: list[WorkflowRefused] = []
    for file in files:
        try:
            workflows[str(file)] = _read_file(file)
        except WorkflowRefused as refused:
            mistakes.append(refused)
    twice = find_served_twice(workflows.items())
    mistakes += [WorkflowRefused(file, path, reason) for file, path, reason in twice]
    return workflows, mistakes


def read_workflow(text: str, file: str) -> Workflow:
    """The definition written in `text`; `file` is named in errors. Raises WorkflowRefused."""
    return build_workflow(parse_tables(text, file), text, file)


def build_workflow(tables: Tables, text: str, file: str) -> Workflow:
    """The definition that `tables`, as `text` said them, come to. Raises WorkflowRefused."""
    common = convert_tables(parse_tables(_COMMON.read_text(encoding="utf-8"), _COMMON.name), _Common, "")
    read_kinds(tables, file)
    workflow = _build(convert_tables(tables, _File, file), common, tables, text, file)
    lint(workflow, file)
    return workflow


def _read_file(file: Path) -> Workflow:
    return build_workflow(read_tables(file), file.read_text(encoding="utf-8-sig"), str(file))


def _build(own: _File, common: _Common, tables: Tables, text: str, file: str) -> Workflow:
    _refuse_common_names(own, common, file)
    states = _states(own.states) | _states(common.states)
    steps = [*_own_steps(own), *(_resolve_step(step, own, states, file) for step in common.steps)]
    return Workflow(
        name=own.name,
        version=own.version,
        zh=own.zh,
        en=own.en,
        prefix=own.prefix,
        kinds=own.kinds,
        stamps=own.stamps,
        initial=own.initial,
        withdraw=own.withdraw,
        close=own.close,
        follow_up=FollowUpRule(
            state=own.follow_up.state,
            within=_duration(own.follow_up.within, file, "follow_up.within"),
            line=own.follow_up.line,
        ),
        states=states,
        actions=_actions(own.actions) | _actions(common.actions),
        steps=tuple(steps),
        everywhere=frozenset(common.actions),
        deadline_rules=tuple(_deadline_rule(name, rule) for name, rule in own.clocks.items()),
        assignment=own.assignment,
        lease=own.lease,
        digest=hashlib.sha256(msgspec.json.encode(tables, order="deterministic")).hexdigest(),
        text=text,
    )


def _refuse_common_names(own: _File, common: _Common, file: str) -> None:
    pairs: tuple[tuple[str, Mapping[str, object], Mapping[str, object]], ...] = (
        ("states", own.states, common.states),
        ("actions", own.actions, common.actions),
    )
    for table, names, reserved in pairs:
        for name in names.keys() & reserved.keys():
            raise WorkflowRefused(file, f"{table}.{name}", "every workflow has one of this name already")


def _states(states: Mapping[str, _State]) -> dict[str, State]:
    return {n: State(name=n, zh=s.zh, en=s.en, final=s.final, busy=s.busy) for n, s in states.items()}


def _actions(actions: Mapping[str, _Action]) -> dict[str, Action]:
    return {
        name: Action(
            name=name,
            zh=action.zh,
            en=action.en,
            roles=action.roles,
            fields=tuple(_field(n, f) for n, f in action.fields.items()),
        )
        for name, action in actions.items()
    }


def _field(name: str, read: _Field) -> Field:
    return Field(
        name=name, zh=read.zh, en=read.en, type=read.type, required=read.required, choices=read.choices
    )


def _deadline_rule(name: str, read: _Clock) -> DeadlineRule:
    return DeadlineRule(name=name, zh=read.zh, en=read.en, ends=read.ends, pauses=read.pauses)


def _duration(text: str, file: str, path: str) -> timedelta:
    match = _DURATION.fullmatch(text)
    if match is None:
        raise WorkflowRefused(file, path, "a duration is a number and m, h or d, as in 24h")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _own_steps(own: _File) -> Iterable[Step]:
    for step in own.steps:
        folded = (FOLDED,) if step.action == own.withdraw else ()  # a folded case can be taken back, too
        yield _step(step, step.sources + folded, step.to)


def _resolve_step(step: _Step, own: _File, states: Mapping[str, State], file: str) -> Step:
    """A step of every workflow in the words of this one."""
    opened = [name for name, state in states.items() if state.final is None]
    sources = {
        "@any": opened,
        "@open": [name for name in opened if name not in (FOLDED, own.follow_up.state)],
        "@initial": [own.initial],
    }.get(step.sources[0], list(step.sources))
    targets = {"@initial": own.initial, "@follow_up": own.follow_up.state}
    to = _withdrawn_state(own, file) if step.to == "@withdrawn" else targets.get(step.to, step.to)
    return _step(step, tuple(sources), to)


def _withdrawn_state(own: _File, file: str) -> str:
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
        requires_stamps=step.requires_stamps,
        stamp=step.stamp,
        unstamp=step.unstamp,
    )
