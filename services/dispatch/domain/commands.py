"""The commands of dispatch: everything that changes a case is one of these."""

from datetime import datetime
from typing import Any

from msgspec import Struct

from services.dispatch.domain.case import ReportedAction
from services.dispatch.domain.opening import NewCase
from shared.messages.events import FollowUpDone
from shared.messages.facts import Location, Preferred, Requester


class CaseRequest(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the requester asked for when the case was raised; it never changes, and holds personal data."""

    summary: str
    source: str
    description: str | None = None
    channel: str | None = None
    location: Location | None = None
    requester: Requester | None = None
    preferred: Preferred | None = None
    reference: str | None = None
    details: dict[str, Any] | None = None


class OpenCase(Struct, frozen=True, kw_only=True):
    """Begin a case. One that is there already stays as it is."""

    new: NewCase
    request: CaseRequest
    trace: str | None = None


class PerformAction(Struct, frozen=True, kw_only=True):
    """Let a case take a step. `properties` are those that the caller sees (None: all);
    `for_somebody`: the caller named who did it.
    """

    case: str
    act: ReportedAction
    properties: frozenset[str] | None = None
    if_match: frozenset[int] | None = None
    for_somebody: bool = False
    trace: str | None = None


class CheckDeadlines(Struct, frozen=True, kw_only=True):
    """Do what is due of a case: a warning, a miss, the end of a lease, an assignment."""

    case: str
    trace: str | None = None


class RecordSystemAction(Struct, frozen=True, kw_only=True):
    """A step of the system's own, left out where the case is over."""

    case: str
    action: str
    at: datetime
    data: dict[str, Any] = {}
    trace: str | None = None


class WithdrawCase(Struct, frozen=True, kw_only=True):
    """The resident takes the demand back: withdrawn where that is still possible, recorded where not."""

    case: str
    by: str
    at: datetime
    reason: str | None = None
    trace: str | None = None


class ConcludeFollowUp(Struct, frozen=True, kw_only=True):
    """The follow-up is done: the case closes; a dissatisfied answer opens one rework, its id `rework`."""

    done: FollowUpDone
    rework: str
    trace: str | None = None

    @property
    def case(self) -> str:
        """The case that was followed up."""
        return self.done.case

    @property
    def dissatisfied(self) -> bool:
        """A rating of 1 or 2."""
        return self.done.answer is not None and self.done.answer.rating <= 2


Command = OpenCase | PerformAction | CheckDeadlines | RecordSystemAction | WithdrawCase | ConcludeFollowUp


def case_id_of(command: Command) -> str:
    """The case that the command is about."""
    return command.new.id if isinstance(command, OpenCase) else command.case
