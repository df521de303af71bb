"""What the simulated people know of a case, and what they mean to do with it."""

from dataclasses import dataclass, field
from datetime import datetime

from msgspec import Struct

from guanjia.simulation.plan import PlannedEvent
from guanjia.simulation.residents import Household
from shared.messages.events import CaseState


class CaseAction(Struct, frozen=True, kw_only=True):
    """One action, by whom; `at` where it happened earlier than it is reported."""

    action: str
    by: str
    at: datetime | None = None
    data: dict[str, object] = {}


class PlannedActions(Struct, frozen=True, kw_only=True):
    """Actions that somebody means to take on a case, unless it has left the phase `phase` (None: always)."""

    case: str
    phase: int | None
    actions: list[CaseAction]


class FollowUpCall(Struct, frozen=True, kw_only=True):
    """Somebody means to ask how it was: the attempt `number` of a follow-up, or a correction."""

    case: str
    followup: str
    number: int
    since: datetime


Intent = PlannedEvent | PlannedActions | FollowUpCall


@dataclass
class TrackedCase:
    """A case as its people know it. `phase` counts how often its state or assignee changed."""

    name: str
    state: CaseState
    household: Household | None = None
    equipment: str | None = None
    phase: int = 0
    judges: list[str] = field(default_factory=list)
    inspection_failed: bool = False
    wait_reason: str | None = None
    resident_refused: bool = False

    @property
    def id(self) -> str:
        """The case's id."""
        return self.state.case

    @property
    def was_disappointing(self) -> bool:
        """Whether the resident has had reason to be unhappy with it."""
        missed = any(deadline.missed_at for deadline in self.state.deadlines)
        return missed or self.inspection_failed or self.resident_refused or self.state.rework_of is not None

    def update_state(self, state: CaseState) -> bool:
        """Take a newer version; whether its state or assignee changed."""
        if state.version <= self.state.version:
            return False
        before, self.state = self.state, state
        changed = (before.state, before.assignee) != (state.state, state.assignee)
        self.phase += changed
        return changed
