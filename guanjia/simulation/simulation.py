"""A simulated span of time: planned events are posted, staff act on what comes of them, residents answer."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from msgspec import Struct, structs

from guanjia.simulation.agenda import Agenda
from guanjia.simulation.case_registry import CaseRegistry
from guanjia.simulation.case_tracker import CaseAction, FollowUpCall, Intent, PlannedActions, TrackedCase
from guanjia.simulation.client import SimulationClient
from guanjia.simulation.demands import DEMAND_PLANNERS
from guanjia.simulation.facts import FACT_PLANNERS
from guanjia.simulation.follow_up_answers import draw_attempt
from guanjia.simulation.people import find_staff
from guanjia.simulation.plan import PlannedEvent, Scenario, plan_events
from guanjia.simulation.random_streams import MINUTE, draw_minutes, random_stream
from guanjia.simulation.reactions import plan_call, plan_reaction, plan_urging
from guanjia.simulation.staff import Staff
from guanjia.simulation.virtual_process import VirtualProcess

SLOW_QUEUES = ("intake.cases", "survey.cases", "kpi.cases", "kpi.facts", "kpi.followups")
"""Queues whose consumers nobody waits for: they take what is there every four hours."""
SETTLE_EVERY = timedelta(hours=4)
OFFICE_GRID = 5 * MINUTE


class SimulationProgress(Struct, frozen=True):
    """How far it is, and how much has happened."""

    now: datetime
    counts: dict[str, int]


class Simulation:
    """One span of time at the tower. `run` it once."""

    def __init__(self, scenario: Scenario, client: SimulationClient) -> None:
        self._scenario, self._client = scenario, client
        self._staff = Staff(scenario)
        self._agenda = Agenda()
        self.counts: Counter[str] = Counter()
        self.cases = CaseRegistry(client, scenario.households, self.counts)

    async def run(self, virtual: VirtualProcess, report: Callable[[SimulationProgress], None]) -> None:
        """From the virtual present to the end of the scenario; `report` is called at every midnight."""
        await self._client.issue_keys()
        for event in plan_events(self._scenario, (*FACT_PLANNERS, *DEMAND_PLANNERS)):
            self._agenda.add(event.at, event)
        midnight, settle_at = self._next_midnight(virtual.clock.now()), virtual.clock.now()
        while (at := await self._find_next_moment(virtual, midnight)) < self._scenario.end:
            await virtual.advance(at - virtual.clock.now())
            await self._react_to_changes(at)  # whoever is about to act sees first what happened by itself
            await self._perform_intents(virtual, self._agenda.pop_due(at))
            if at >= settle_at:
                settle_at = at + SETTLE_EVERY
                await virtual.settle()
            if at >= midnight:
                midnight = self._next_midnight(at)
                await self._end_day(virtual, at, report)
        await virtual.advance(self._scenario.end - virtual.clock.now())
        await self._end_day(virtual, self._scenario.end, report)

    async def _end_day(
        self, virtual: VirtualProcess, at: datetime, report: Callable[[SimulationProgress], None]
    ) -> None:
        await virtual.run_periodic_jobs()
        report(SimulationProgress(at, dict(self.counts)))

    async def _find_next_moment(self, virtual: VirtualProcess, midnight: datetime) -> datetime:
        """When something happens next: somebody acts, or something is due by itself."""
        await self._react_to_changes(virtual.clock.now())
        moments = [midnight, self._scenario.end, self._agenda.next_at(), virtual.next_due_at()]
        return max(min(at for at in moments if at is not None), virtual.clock.now())

    def _next_midnight(self, at: datetime) -> datetime:
        local = at.astimezone(self._scenario.zone)
        return local.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)

    # What is meant for a moment is done.

    async def _perform_intents(self, virtual: VirtualProcess, intents: Sequence[Intent]) -> None:
        """The events of a moment go in one batch and in the order of their names, before the actions."""
        events = [intent for intent in intents if isinstance(intent, PlannedEvent)]
        if events:
            await self._post_events(sorted(events, key=lambda event: (event.source, event.id)))
        for intent in intents:
            if isinstance(intent, PlannedActions):
                await self._perform_actions(intent)
            elif isinstance(intent, FollowUpCall):
                await self._make_call(intent, virtual.clock.now())
        if intents:
            await virtual.run_pending()

    async def _post_events(self, events: Sequence[PlannedEvent]) -> None:
        demands = await self._client.post_events(events)
        by_id = {event.id: event for event in events}
        for event_id, demand in demands.items():
            self.cases.note_demand(demand, by_id[event_id])
        self.counts["events"] += len(events)
        self.counts["demands"] += len(demands)

    async def _perform_actions(self, plan: PlannedActions) -> None:
        case = self.cases[plan.case]
        if plan.phase not in (None, case.phase) or not case.state.open:
            return
        for number, action in enumerate(plan.actions):
            key = f"{case.name}/{case.phase}/{number}/{action.action}"
            if not await self._perform_action(case, action, key):
                return
            self.counts["steps"] += 1

    async def _perform_action(self, case: TrackedCase, action: CaseAction, key: str) -> bool:
        """Take an action; what may not be reported any more as of then is reported as of now."""
        if await self._client.perform_action(case.id, action, key):
            return True
        undated = structs.replace(action, at=None)
        return action.at is not None and await self._client.perform_action(case.id, undated, f"{key}/now")

    async def _make_call(self, call: FollowUpCall, now: datetime) -> None:
        """Ask the resident how it was."""
        case = self.cases[call.case]
        random = random_stream(self._scenario.seed, "answer", case.name, call.number)
        correcting = self.cases.is_follow_up_done(call.followup)
        attempt = draw_attempt(case, random, correcting)
        workers = case.state.follow_up.workers if case.state.follow_up else []
        by = find_staff(self._scenario.prop, now, ("dispatcher", "quality"), workers)
        key = f"{case.name}/{call.number}"
        if by is None or not await self._client.record_attempt(call.followup, by, key, attempt):
            return
        self.counts["attempts"] += 1
        if attempt["outcome"] == "no_answer":
            self._call_again(case, call, now)
        elif attempt["outcome"] == "answered" and not correcting and random.random() < 0.015:
            correction = structs.replace(call, number=call.number + 10)
            self._add_to_agenda([(now + draw_minutes(random, 300, 1500), correction)], now)

    def _call_again(self, case: TrackedCase, call: FollowUpCall, now: datetime) -> None:
        """Soon after the first attempts, then twice a day, until five days have gone by."""
        after = now if call.number < 3 else now + timedelta(hours=12)
        if call.number < 3 or now - call.since < timedelta(days=5):
            call_again = plan_call(self._staff, case, call.followup, call.since, call.number + 1, after)
            self._add_to_agenda([call_again], now)

    # What changed is reacted to.

    async def _react_to_changes(self, now: datetime) -> None:
        """Everybody looks at what changed and plans what follows from it."""
        for change in await self.cases.take_changes():
            case = change.case
            if change.moved and case.state.open:
                job = self.cases.find_elevator_job(case)
                self._add_to_agenda(plan_reaction(self._staff, case, now, job), now)
            if change.is_new:
                self._add_to_agenda(plan_urging(self._staff, case, now), now)
        for case, follow_up in self.cases.take_due_follow_ups():
            self._add_to_agenda(
                [plan_call(self._staff, case, follow_up.followup, follow_up.since, 1, now)], now
            )

    def _add_to_agenda(self, plan: Iterable[tuple[datetime, Intent]], now: datetime) -> None:
        for at, intent in plan:
            earliest = _round_up(now + MINUTE, MINUTE)
            self._agenda.add(max(_round_up(at, self._get_grid(intent)), earliest), intent)

    def _get_grid(self, intent: Intent) -> timedelta:
        """Engineers work by the minute, the office reports what it did every five."""
        is_repair = isinstance(intent, PlannedActions) and self.cases[intent.case].state.kind == "repair"
        return MINUTE if is_repair else OFFICE_GRID


def _round_up(at: datetime, grid: timedelta) -> datetime:
    """The first moment of `grid` at or after `at`."""
    over = (at - at.replace(hour=0, minute=0, second=0, microsecond=0)) % grid
    return at if not over else at - over + grid
