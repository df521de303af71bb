"""Events for each queue, each about a subject of its own that can be recognized by its id."""

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


def demand(id_: str) -> DemandAccepted:
    """A repair that will open the case `id_`."""
    return DemandAccepted(
        demand=id_,
        property="tower",
        kind="repair",
        summary="The tap drips",
        source="app",
        raised_at=BEFORE,
        accepted_at=BEFORE,
    )


def case(id_: str) -> CaseChanged:
    """A repair that was finished an hour ago."""
    return CaseChanged(
        case=id_,
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


def equipment(id_: str) -> EquipmentRegistered:
    """A lift."""
    return EquipmentRegistered(property="tower", equipment=id_, system="elevator")


def bill(id_: str) -> FeeBilled:
    """A bill of the management fee."""
    return FeeBilled(property="tower", bill=id_, amount="12.50", due_at=BEFORE)


def follow_up(id_: str) -> FollowUpDue:
    """A follow-up that is to be done."""
    return FollowUpDue(
        followup=id_,
        case=new_id(),
        property="tower",
        kind="repair",
        line="maintenance",
        due_at=DUE,
        since=BEFORE,
    )


SAMPLES: dict[str, Callable[[str], Struct]] = {
    "intake.cases": case,
    "dispatch.demands": demand,
    "dispatch.facts": equipment,
    "survey.cases": case,
    "kpi.facts": bill,
    "kpi.cases": case,
    "kpi.followups": follow_up,
}
"""Queue → the data of an event for it, about the subject of that id."""


def sample_event(queue: str, id_: str) -> Event:
    """An event for `queue` about the subject `id_`."""
    return Event.of(SAMPLES[queue](id_), source="test", time=BEFORE)
