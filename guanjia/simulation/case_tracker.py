"""What the simulated people know of a case, and what they mean to do with it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from msgspec import Struct

from guanjia.simulation.plan import Post
from guanjia.simulation.residents import Household
from shared.messages.events import CaseState


class Step(Struct, frozen=True, kw_only=True):
    """One action, by whom; `at` where it happened earlier than it is told."""

    action: str
    by: str
    at: datetime | None = None
    data: dict[str, Any] = {}


class Act(Struct, frozen=True, kw_only=True):
    """Steps that somebody means to take on a case, unless it has moved on from `stint` (None: always)."""

    case: str
    stint: int | None
    steps: list[Step]


class Call(Struct, frozen=True, kw_only=True):
    """Somebody means to ask how it was: the attempt `number` of a follow-up, or a correction."""

    case: str
    followup: str
    number: int
    since: datetime


Intent = Post | Act | Call


@dataclass
class TrackedCase:
    """A case as its people know it. `stint` counts how often it came into a new state or to somebody else."""

    name: str
    state: CaseState
    home: Household | None = None
    equipment: str | None = None
    stint: int = 0
    judges: list[str] = field(default_factory=list)
    failed: bool = False
    waits_for: str | None = None
    refused: bool = False

    @property
    def id(self) -> str:
        """The case's id."""
        return self.state.case

    @property
    def spoilt(self) -> bool:
        """Whether the resident has had reason to be unhappy with it."""
        missed = any(deadline.missed_at for deadline in self.state.deadlines)
        return missed or self.failed or self.refused or self.state.rework_of is not None

    def told(self, state: CaseState) -> bool:
        """Take a newer version; whether it came into a new state or to somebody else."""
        if state.version <= self.state.version:
            return False
        before, self.state = self.state, state
        moved = (before.state, before.assignee) != (state.state, state.assignee)
        self.stint += moved
        return moved
