"""Events that each service hears, each about one thing of its own that can be found again by its mark."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from shared.ids import new_id
from shared.messages.cloudevents import Event
from shared.messages.events import (
    CaseChanged,
    CaseFacts,
    DeadlineStatus,
    DemandAccepted,
    Entry,
    FollowUpDue,
    FollowUpPlan,
    WorkflowRef,
)
from shared.messages.facts import EquipmentRegistered, FeeBilled

NOW = datetime(2026, 11, 23, 4, tzinfo=UTC)
BEFORE = NOW - timedelta(hours=1)
DUE = NOW + timedelta(hours=8)


def demand(mark: str) -> DemandAccepted:
    """A repair that will open the case `mark`."""
    return DemandAccepted(
        demand=mark,
        property="tower",
        kind="repair",
        summary="The tap drips",
        source="app",
        raised_at=BEFORE,
        accepted_at=BEFORE,
    )


def case(mark: str) -> CaseChanged:
    """A repair that was finished an hour ago."""
    return CaseChanged(
        case=mark,
        number="R-1",
        property="tower",
        kind="repair",
        workflow=WorkflowRef(name="repair", version=1),
        state="following_up",
        open=True,
        priority="normal",
        assignee="wang",
        raised_at=BEFORE,
        line="maintenance",
        subject=None,
        perspective=None,
        rework_of=None,
        parent=None,
        language=None,
        version=8,
        entry=Entry(
            seq=8, action="inspect", from_="completed", to="x", at=BEFORE, recorded_at=BEFORE, actor="zhao"
        ),
        deadlines=[DeadlineStatus(clock="complete", due_at=DUE, met_at=BEFORE)],
        facts=CaseFacts(completed_at=BEFORE, inspected_at=BEFORE, inspection_passed=True),
        follow_up=FollowUpPlan(line="maintenance", due_at=DUE, since=BEFORE, workers=["wang"]),
    )


def equipment(mark: str) -> EquipmentRegistered:
    """A lift."""
    return EquipmentRegistered(property="tower", equipment=mark, system="elevator")


def bill(mark: str) -> FeeBilled:
    """A bill of the management fee."""
    return FeeBilled(property="tower", bill=mark, amount="12.50", due_at=BEFORE)


def follow_up(mark: str) -> FollowUpDue:
    """A follow-up that is to be done."""
    return FollowUpDue(
        followup=mark,
        case=new_id(),
        property="tower",
        kind="repair",
        line="maintenance",
        due_at=DUE,
        since=BEFORE,
    )


SAMPLES_BY_QUEUE: dict[str, Callable[[str], Struct]] = {
    "intake.cases": case,
    "dispatch.demands": demand,
    "dispatch.facts": equipment,
    "survey.cases": case,
    "kpi.facts": bill,
    "kpi.cases": case,
    "kpi.followups": follow_up,
}
"""Queue → what is told on it, about a thing of that mark."""


def make_event(queue: str, mark: str) -> Event:
    """An event for `queue` about the thing `mark`."""
    return Event.of(SAMPLES_BY_QUEUE[queue](mark), source="test", time=BEFORE)
