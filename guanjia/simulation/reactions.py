"""Who means to do what, and when, when a case changes, is opened, or is to be followed up."""

from datetime import datetime

from guanjia.simulation.case_tracker import CaseAction, FollowUpCall, Intent, PlannedActions, TrackedCase
from guanjia.simulation.complaint_work import plan_complaint
from guanjia.simulation.demands import is_elevator_report
from guanjia.simulation.people import find_staff
from guanjia.simulation.random_streams import draw_minutes, random_stream
from guanjia.simulation.repair_work import plan_repair
from guanjia.simulation.request_work import plan_request, plan_visit
from guanjia.simulation.staff import DAY, OFFICE, Plan, Staff

URGES = {"easy": 0.01, "plain": 0.03, "demanding": 0.25}
"""How likely a household of that temperament presses for a repair."""


def plan_reaction(staff: Staff, case: TrackedCase, now: datetime, job: str | None) -> Plan:
    """What follows from the state that `case` came into; `job`: the one that it may be folded into."""
    random = random_stream(staff.scenario.seed, case.name, case.phase)
    if case.state.kind == "repair":
        return plan_repair(staff, case, now, random, job)
    if case.state.kind == "complaint":
        return plan_complaint(staff, case, now, random)
    if case.state.kind == "visitor":
        return plan_visit(staff, case, now, random)
    return plan_request(staff, case, now, random)


def plan_urging(staff: Staff, case: TrackedCase, now: datetime) -> Plan:
    """Some residents press before long, whoever has the job."""
    random = random_stream(staff.scenario.seed, "urge", case.name)
    chance = URGES[case.household.temperament] if case.household else 0
    if case.state.kind == "repair" and random.random() < chance and not is_elevator_report(case.name):
        at = now + draw_minutes(random, 15, 60)
        actions = [CaseAction(action="urge", by=find_staff(staff.scenario.prop, at, OFFICE) or "")]
        yield at, PlannedActions(case=case.id, phase=None, actions=actions)


def plan_call(
    staff: Staff, case: TrackedCase, followup: str, since: datetime, number: int, after: datetime
) -> tuple[datetime, Intent]:
    """When somebody calls the resident: in daytime, mostly in time; some late, a few very."""
    random = random_stream(staff.scenario.seed, "call", case.name, number)
    draw, wait = random.random(), draw_minutes(random, 40, 500)
    if number > 1:
        wait = draw_minutes(random, 150, 700)
    elif draw < 0.01:
        wait = draw_minutes(random, 4 * DAY, 12 * DAY)
    elif draw < 0.02:
        wait = draw_minutes(random, 1900, 2600)
    call = FollowUpCall(case=case.id, followup=followup, number=number, since=since)
    return staff.postpone_to_daytime(after + wait, random), call
