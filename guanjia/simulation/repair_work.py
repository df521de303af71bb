"""How engineers go about a repair: accept, travel, repair, wait; and how it is inspected."""

from datetime import datetime
from random import Random

from guanjia.simulation.case_tracker import CaseAction, Intent, PlannedActions, TrackedCase
from guanjia.simulation.plan import plan_event
from guanjia.simulation.random_streams import draw_minutes
from guanjia.simulation.staff import DAY, HOUR, Plan, Staff
from guanjia.simulation.texts import REPAIR_RESULTS

WAIT_DURATIONS = {"parts": (6 * HOUR, 3 * DAY), "resident": (1.5 * HOUR, 18 * HOUR)}


def plan_repair(staff: Staff, case: TrackedCase, now: datetime, random: Random, job: str | None) -> Plan:
    """What follows from the state of a repair; `job`: the one that it may be folded into."""
    state, engineer = case.state, case.state.assignee
    if state.state == "reported" and case.name.startswith("passing-"):
        yield staff.plan_action(
            case, now + draw_minutes(random, 2, 10), "pass_on", to="商业中心管理处", reason="属商场管理范围"
        )
    if state.state == "dispatched" and engineer is not None:
        yield from _plan_acceptance(staff, case, now, random, engineer)
    elif state.state == "accepted" and engineer is not None:
        yield from _plan_departure(staff, case, now, random, engineer)
    elif state.state == "travelling":
        yield staff.plan_action(case, now + staff.draw_work_time(random, engineer, 2, 8), "arrive", engineer)
    elif state.state == "on_site":
        yield from _plan_work_on_site(staff, case, now, random, engineer)
    elif state.state == "waiting":
        later = now + draw_minutes(random, *WAIT_DURATIONS[case.wait_reason or "resident"])
        yield staff.plan_action(case, staff.postpone_to_daytime(later, random), "resume", engineer)
    elif state.state == "completed":
        yield from _plan_inspection(staff, case, now, random)
    if job is not None and state.state in ("reported", "dispatched", "accepted", "travelling"):
        later = now + draw_minutes(random, 2, 6)
        yield staff.plan_action(case, later, "attach", parent=job)


def _plan_acceptance(staff: Staff, case: TrackedCase, now: datetime, random: Random, engineer: str) -> Plan:
    """Most accept within minutes; some forget (the lease takes it from them), a few decline."""
    style = staff.get_work_style(engineer)
    draw = random.random()
    if draw < style.forgets:
        return
    urgent = case.state.priority == "urgent"
    delay = draw_minutes(random, 0.5, 1.6 if urgent else 5 * style.pace)
    if draw < style.forgets + 0.015:
        yield staff.plan_action(case, now + delay, "decline", engineer, reason="正在处理另一件报修")
    else:
        yield staff.plan_action(case, now + delay, "accept", engineer)


def _plan_departure(staff: Staff, case: TrackedCase, now: datetime, random: Random, engineer: str) -> Plan:
    style = staff.get_work_style(engineer)
    depart = now + staff.draw_work_time(random, engineer, 1, 4)
    if random.random() >= style.offline:
        yield staff.plan_action(case, depart, "depart", engineer)
        return
    arrive = depart + staff.draw_work_time(random, engineer, 2, 6)
    complete = arrive + staff.draw_work_time(random, engineer, 15, 70)
    actions = [
        CaseAction(action="depart", by=engineer, at=depart),
        CaseAction(action="arrive", by=engineer, at=arrive),
        CaseAction(
            action="complete", by=engineer, at=complete, data={"result": "已修好，当时无信号，事后补报"}
        ),
    ]
    yield (
        complete + draw_minutes(random, 5, 150),
        PlannedActions(case=case.id, phase=case.phase, actions=actions),
    )


def _plan_work_on_site(
    staff: Staff, case: TrackedCase, now: datetime, random: Random, engineer: str | None
) -> Plan:
    if case.equipment is not None:
        at = now + draw_minutes(random, 1, 3)
        yield at, _plan_equipment_state(case, at, "under_repair")
    urgent = case.state.priority == "urgent"
    if case.wait_reason is None and not urgent and random.random() < 0.16:
        case.wait_reason = "parts" if case.equipment is not None else random.choice(("parts", "resident"))
        yield staff.plan_action(
            case, now + draw_minutes(random, 8, 20), "wait", engineer, reason=case.wait_reason
        )
    else:
        yield staff.plan_action(
            case,
            now + staff.draw_work_time(random, engineer, 12, 50 if urgent else 75),
            "complete",
            engineer,
            result=random.choice(REPAIR_RESULTS),
        )


def _plan_inspection(staff: Staff, case: TrackedCase, now: datetime, random: Random) -> Plan:
    if case.equipment is not None:
        at = now + draw_minutes(random, 1, 4)
        yield at, _plan_equipment_state(case, at, "intact")
    style = staff.get_work_style(case.state.assignee)
    passed = random.random() >= style.careless
    at = now + draw_minutes(random, 5, 45)
    case.inspection_failed = case.inspection_failed or not passed
    yield staff.plan_action(case, at, "inspect", staff.find_uninvolved(case, at), passed=passed)


def _plan_equipment_state(case: TrackedCase, at: datetime, state: str) -> Intent:
    name = f"{case.name}-{case.phase}-{state}"
    return plan_event(at, "bms", name, "equipment.state", equipment=case.equipment, state=state)
