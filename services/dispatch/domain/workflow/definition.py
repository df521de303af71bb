"""The shape of a workflow: states, actions, steps, clocks, and the machine that walks them.

A definition is immutable; (name, version) pins it for ever to the cases that began with it.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import cached_property
from typing import Any, Literal

from msgspec import Struct
from transitions import Machine, MachineError

from shared.messages.facts import Kind, Line, Perspective
from shared.messages.kinds import KindEntry, LocalizedName

End = Literal["done", "cancelled", "declined", "passed_on"]

FOLDED = "folded"
"""The state of a case that was folded into another; every workflow has it."""


class State(LocalizedName, frozen=True, kw_only=True):
    """A condition that a case can be in. `final`: how it ended; `busy`: its assignee is occupied by it."""

    name: str
    final: End | None = None
    busy: bool = False


class Field(LocalizedName, frozen=True, kw_only=True):
    """One thing that an action asks for. `choices` are those of an enum, each with its name."""

    name: str
    type: Literal["text", "bool", "int", "person", "timestamp", "case", "enum"]
    required: bool = False
    choices: Mapping[str, LocalizedName] = {}

    @property
    def type_name(self) -> str:
        """The type as programs read it."""
        return f"enum[{','.join(self.choices)}]" if self.type == "enum" else self.type


class Action(LocalizedName, frozen=True, kw_only=True):
    """What somebody can do. No roles: only the system itself does it."""

    name: str
    roles: frozenset[str] = frozenset()
    fields: tuple[Field, ...] = ()


class Step(Struct, frozen=True, kw_only=True):
    """An action's way from some states to another, taken where `when` agrees with the action's fields.

    It is open only to a case that bears all of `requires_stamps`; it gives `stamp` and takes away `unstamp`.
    """

    action: str
    sources: tuple[str, ...]
    to: str
    when: dict[str, bool] = {}
    requires: tuple[str, ...] = ()
    guards: tuple[str, ...] = ()
    effects: tuple[str, ...] = ()
    requires_stamps: tuple[str, ...] = ()
    stamp: tuple[str, ...] = ()
    unstamp: tuple[str, ...] = ()


class DeadlineRule(LocalizedName, frozen=True, kw_only=True):
    """A deadline that starts when the case is raised and ends with one of `ends`; it stands still in
    `pauses`. Its time is what the property promises under its name."""

    name: str
    ends: tuple[str, ...]
    pauses: tuple[str, ...] = ()


class FollowUpRule(Struct, frozen=True, kw_only=True):
    """The follow-up that a done case is owed: `within` of completion, or of reaching `state` without one.

    Its answer rates `line`; `"named"` is the line that the demand names, else customer service.
    """

    state: str
    within: timedelta
    line: Line | Literal["named"] = "customer_service"


class LeaseRule(Struct, frozen=True, kw_only=True):
    """In `state` the assignee has the property's lease to move on, then the system does `action`."""

    state: str
    action: str


class AssignRule(Struct, frozen=True, kw_only=True):
    """The system itself does `action` in `state`, for a person with one of the perspective's roles."""

    state: str
    action: str
    roles: dict[Perspective, tuple[str, ...]]


class StepSearch:
    """What the machine moves, unattached to it: from `state`, with `data`, to the `step` that is taken."""

    __slots__ = ("data", "state", "step")

    def __init__(self, state: str, data: dict[str, Any]) -> None:
        self.state = state
        self.data = data
        self.step: Step | None = None


class Workflow(LocalizedName, frozen=True, kw_only=True, dict=True):
    """A definition, complete: its own states and actions and those that every workflow has."""

    name: str
    version: int
    prefix: str
    kinds: Mapping[Kind, KindEntry]
    stamps: Mapping[str, LocalizedName] = {}
    """What a case can bear as done, by when: consented, explained, a deposit paid."""
    initial: str
    withdraw: str
    close: str
    follow_up: FollowUpRule
    states: dict[str, State]
    actions: dict[str, Action]
    steps: tuple[Step, ...]
    deadline_rules: tuple[DeadlineRule, ...]
    everywhere: frozenset[str] = frozenset()
    """The actions that every workflow has."""
    assignment: AssignRule | None = None
    lease: LeaseRule | None = None
    digest: str = ""
    """Of what the definition says, whatever the blanks and comments of its file."""
    text: str = ""
    """The file as it was read."""

    @cached_property
    def machine(self) -> Machine:
        """The one machine of this definition."""
        machine = Machine(model=None, states=list(self.states), initial=self.initial, auto_transitions=False)
        for step in self.steps:
            conditions: list[Any] = [_data_condition(step)] if step.when else []
            machine.add_transition(
                step.action, list(step.sources), step.to, conditions=conditions, before=[_step_setter(step)]
            )
        return machine

    @cached_property
    def by_state(self) -> dict[str, tuple[Step, ...]]:
        """The steps that lead out of each state."""
        return {name: tuple(s for s in self.steps if name in s.sources) for name in self.states}

    def find_step(self, state: str, action: str, data: dict[str, Any]) -> Step | None:
        """The step that `action` with `data` takes from `state`; None where there is none."""
        event = self.machine.events.get(action)
        search = StepSearch(state, data)
        if event is None:
            return None
        try:
            event.trigger(search, search)
        except MachineError:
            return None
        return search.step

    @cached_property
    def open_states(self) -> frozenset[str]:
        """The states in which a case is open."""
        return frozenset(name for name, state in self.states.items() if state.final is None)

    def is_open(self, state: str) -> bool:
        """Whether a case in `state` is still open."""
        return state in self.open_states


def _data_condition(step: Step) -> Callable[[StepSearch], bool]:
    values = tuple(step.when.items())
    return lambda search: all(search.data.get(name) is value for name, value in values)


def _step_setter(step: Step) -> Callable[[StepSearch], None]:
    def set_step(search: StepSearch) -> None:
        search.step = step

    return set_step
