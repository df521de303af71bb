"""The cases as the simulated staff know them, by what services say to each other about them."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from guanjia.simulation.case_tracker import TrackedCase
from guanjia.simulation.client import SimulationClient
from guanjia.simulation.demands import is_elevator_report
from guanjia.simulation.plan import PlannedEvent
from guanjia.simulation.residents import Household
from shared.messages.cloudevents import Event
from shared.messages.events import CaseState, FollowUpDone, FollowUpDue

OBSERVED_QUEUES = ("survey.cases", "kpi.followups")
"""Queues whose events tell all that the staff would see on a screen on the wall."""
_NOT_WORKED_ON = ("following_up", "folded", "completed")


class CaseChange(Struct, frozen=True):
    """A case that changed: whether it is new, and whether its state or assignee is another."""

    case: TrackedCase
    is_new: bool
    moved: bool


class CaseRegistry:
    """All cases by id. `counts` is told of new cases and reworks."""

    def __init__(
        self, client: SimulationClient, households: Sequence[Household], counts: Counter[str]
    ) -> None:
        self._client, self._counts = client, counts
        self._households = {household.resident: household for household in households}
        self._cases: dict[str, TrackedCase] = {}
        self._events_by_demand: dict[str, PlannedEvent] = {}
        self._changed_states: dict[str, CaseState] = {}
        self._due_follow_ups: dict[str, FollowUpDue] = {}
        self._done_follow_ups: set[str] = set()

    def __getitem__(self, case: str) -> TrackedCase:
        return self._cases[case]

    def note_events(self, events: Sequence[Event]) -> None:
        """Note what changed; of several versions of a case the highest."""
        for event in events:
            fact = event.data
            if isinstance(fact, CaseState):
                noted = self._changed_states.get(fact.case)
                if noted is None or noted.version < fact.version:
                    self._changed_states[fact.case] = fact
            elif isinstance(fact, FollowUpDone):
                self._done_follow_ups.add(fact.followup)
            elif isinstance(fact, FollowUpDue):
                self._due_follow_ups[fact.case] = fact

    def note_demand(self, demand: str, event: PlannedEvent) -> None:
        """`event` became this demand; its case will bear the event's name."""
        self._events_by_demand[demand] = event

    async def take_changes(self) -> list[CaseChange]:
        """What changed since the last call, in the order in which the cases were raised."""
        states, self._changed_states = self._changed_states, {}
        return [await self._update_case(state) for state in sorted(states.values(), key=_raised_order)]

    def take_due_follow_ups(self) -> list[tuple[TrackedCase, FollowUpDue]]:
        """Follow-ups that became due since the last call, in the order of their cases' names."""
        due, self._due_follow_ups = self._due_follow_ups, {}
        pairs = [(self._cases[case], follow_up) for case, follow_up in due.items()]
        return sorted(pairs, key=lambda pair: pair[0].name)

    def is_follow_up_done(self, followup: str) -> bool:
        """Whether it was answered already: an answer to it now is a correction."""
        return followup in self._done_follow_ups

    def find_elevator_job(self, case: TrackedCase) -> str | None:
        """The job on a dead elevator that one of the many reports of it is folded into."""
        if not is_elevator_report(case.name):
            return None
        jobs = [
            job for job in self._cases.values()
            if job.equipment is not None and job.state.subject == "elevators" and job.state.open
            and job.state.state not in _NOT_WORKED_ON
        ]  # fmt: skip
        return min(jobs, key=lambda job: (job.state.raised_at, job.name)).id if jobs else None

    async def _update_case(self, state: CaseState) -> CaseChange:
        case = self._cases.get(state.case)
        if case is not None:
            return CaseChange(case, False, case.update_state(state))
        case = await self._identify_case(state)
        self._cases[state.case] = case
        self._counts["cases"] += 1
        return CaseChange(case, True, True)

    async def _identify_case(self, state: CaseState) -> TrackedCase:
        """A new case: a demand of ours, the rework of a case, or what an alarm or an inspection opened."""
        event = self._events_by_demand.get(state.case)
        if event is not None:
            return TrackedCase(event.id, state, self._households.get(event.resident))
        if state.rework_of is not None:
            original = self._cases[state.rework_of]
            self._counts["reworks"] += 1
            return TrackedCase(f"{original.name}-again", state, original.household, original.equipment)
        details = await self._client.get_case_details(state.case)
        subject = details.equipment or details.inspection
        return TrackedCase(f"{subject}-{state.raised_at.isoformat()}", state, None, details.equipment)


def _raised_order(state: CaseState) -> tuple[datetime, str]:
    """Cases are looked at as they were raised; those of one moment in the order in which they were opened."""
    return state.raised_at, state.case
