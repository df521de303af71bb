"""The staff of the tower: who is there to act on a case, how long they take, and when they may call."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random

from guanjia.simulation.case_tracker import CaseAction, Intent, PlannedActions, TrackedCase
from guanjia.simulation.people import WorkStyle, find_staff, get_work_style
from guanjia.simulation.plan import Scenario
from guanjia.simulation.random_streams import draw_minutes, postpone_to_daytime

HOUR, DAY = 60, 24 * 60
OFFICE = ("dispatcher",)
JUDGES = ("quality", "dispatcher")
Plan = Iterator[tuple[datetime, Intent]]


class Staff:
    """The staff of the property in `scenario`."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario

    def plan_action(
        self, case: TrackedCase, at: datetime, action: str, by: str | None = None, **data: object
    ) -> tuple[datetime, Intent]:
        """One action on the case at `at`, by that person or by whoever is in the office then."""
        prop = self.scenario.prop
        actor = by or find_staff(prop, at, OFFICE) or prop.people[0].id
        actions = [CaseAction(action=action, by=actor, data=data)]
        return at, PlannedActions(case=case.id, phase=case.phase, actions=actions)

    def find_uninvolved(self, case: TrackedCase, at: datetime, *without: str) -> str:
        """Somebody of the office who did not work on the case."""
        worked = case.state.follow_up.workers if case.state.follow_up else []
        person = find_staff(self.scenario.prop, at, JUDGES, {*without, *worked})
        return person or self.scenario.prop.people[0].id

    def get_work_style(self, person: str | None) -> WorkStyle:
        """How this person works."""
        return get_work_style(self.scenario.seed, self.scenario.prop, person or "")

    def draw_work_time(self, random: Random, person: str | None, least: float, most: float) -> timedelta:
        """Minutes of work from `least` to `most`, stretched by the person's pace."""
        pace = self.get_work_style(person).pace
        return draw_minutes(random, least * pace, most * pace)

    def postpone_to_daytime(self, at: datetime, random: Random) -> datetime:
        """`at`, or the next morning where residents would be disturbed then."""
        return postpone_to_daytime(at, self.scenario.zone, random)
