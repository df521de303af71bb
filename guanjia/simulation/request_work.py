"""How visits and all other requests are gone about."""

from datetime import datetime
from random import Random

from guanjia.simulation.case_tracker import TrackedCase
from guanjia.simulation.random_streams import draw_minutes
from guanjia.simulation.staff import DAY, HOUR, Plan, Staff

DURATIONS = {
    "move_in": (3 * HOUR, 30 * HOUR), "decoration": (3 * DAY, 25 * DAY), "key_custody": (DAY, 12 * DAY),
    "community": (2 * DAY, 9 * DAY), "business": (4 * HOUR, 3 * DAY), "suggestion": (2 * HOUR, 4 * DAY),
}  # fmt: skip
"""How many minutes what is asked for takes, least and most, where it is not done within hours."""


def plan_visit(staff: Staff, case: TrackedCase, now: datetime, random: Random) -> Plan:
    """What follows from the state of a visit: the owner consents or refuses, the visitor comes and goes."""
    state = case.state.state
    owner = case.household.resident if case.household else "owner"
    if state == "requested" and random.random() < 0.07:
        yield staff.plan_action(case, now + draw_minutes(random, 1, 12), "refuse", owner=owner)
    elif state == "requested":
        yield staff.plan_action(
            case, now + draw_minutes(random, 1, 12), "consent", owner=owner, channel="app"
        )
    elif state == "consented":
        yield staff.plan_action(case, now + draw_minutes(random, 2, 45), "admit")
    elif state == "admitted":
        yield staff.plan_action(case, now + draw_minutes(random, 25, 240), "leave")


def plan_request(staff: Staff, case: TrackedCase, now: datetime, random: Random) -> Plan:
    """What follows from the state of any other request."""
    state, worker = case.state.state, case.state.assignee
    if state == "assigned":
        yield staff.plan_action(case, now + staff.draw_work_time(random, worker, 2, 25), "start", worker)
    elif state == "doing" and random.random() < 0.04:
        yield staff.plan_action(
            case, now + draw_minutes(random, 10, 60), "explain", worker, explanation="不符合管理规约"
        )
    elif state == "doing":
        least, most = DURATIONS.get(case.state.kind, (15, 200))
        at = staff.postpone_to_daytime(now + staff.draw_work_time(random, worker, least, most), random)
        yield staff.plan_action(case, at, "finish", worker, result="已办妥")
    elif state == "explaining":
        at = staff.postpone_to_daytime(now + draw_minutes(random, 10, 200), random)
        case.resident_refused = random.random() < 0.2 and not case.resident_refused
        action = "refuse" if case.resident_refused else "agree"
        yield staff.plan_action(case, at, action, answer="表示理解" if action == "agree" else "不能接受")
