"""How the office goes about a complaint: registers, judges, explains, handles, proposes; residents answer."""

from datetime import datetime
from random import Random

from guanjia.simulation.case_tracker import CaseAction, Intent, PlannedActions, TrackedCase
from guanjia.simulation.random_streams import draw_minutes
from guanjia.simulation.staff import Plan, Staff


def plan_complaint(staff: Staff, case: TrackedCase, now: datetime, random: Random) -> Plan:
    """What follows from the state of a complaint."""
    state = case.state.state
    if state == "received":
        yield staff.plan_action(case, now + draw_minutes(random, 2, 32), "register")
    elif state == "registered":
        yield _plan_judgement(staff, case, now, random)
    elif state == "valid":
        yield staff.plan_action(
            case, now + draw_minutes(random, 5, 60), "assign", engineer=staff.find_uninvolved(case, now)
        )
    elif state == "explaining":
        yield from _plan_explanation(staff, case, now, random)
    elif state == "assigned":
        yield staff.plan_action(case, now + draw_minutes(random, 5, 90), "handle")
    elif state == "handling":
        at = staff.postpone_to_daytime(now + draw_minutes(random, 120, 900), random)
        yield staff.plan_action(case, at, "propose", resolution="已当面致歉并整改")
    elif state == "proposed":
        yield _plan_answer_to_proposal(staff, case, now, random)


def _plan_judgement(
    staff: Staff, case: TrackedCase, now: datetime, random: Random
) -> tuple[datetime, Intent]:
    at = staff.postpone_to_daytime(now + draw_minutes(random, 30, 360), random)
    judge = staff.find_uninvolved(case, at, *case.judges)
    case.judges.append(judge)
    if random.random() < (0.45 if case.resident_refused else 0.2):
        return staff.plan_action(case, at, "judge", judge, valid=True)
    return staff.plan_action(
        case, at, "judge", judge, valid=False, verdict="not_valid", reason="经核实不属实"
    )


def _plan_explanation(staff: Staff, case: TrackedCase, now: datetime, random: Random) -> Plan:
    """Somebody else signs too; then it is explained to the resident, who agrees or appeals."""
    signed = now + draw_minutes(random, 20, 180)
    actions = [CaseAction(action="countersign", by=staff.find_uninvolved(case, signed, *case.judges))]
    yield signed, PlannedActions(case=case.id, phase=case.phase, actions=actions)
    at = staff.postpone_to_daytime(signed + draw_minutes(random, 30, 400), random)
    appeals = len(case.judges) < 3 and random.random() < 0.2
    case.resident_refused = case.resident_refused or appeals
    yield (
        staff.plan_action(case, at, "appeal", reason="未听取本人说明")
        if appeals
        else staff.plan_action(case, at, "agree")
    )


def _plan_answer_to_proposal(
    staff: Staff, case: TrackedCase, now: datetime, random: Random
) -> tuple[datetime, Intent]:
    at = staff.postpone_to_daytime(now + draw_minutes(random, 20, 300), random)
    if case.resident_refused or random.random() < 0.85:
        return staff.plan_action(case, at, "agree")
    case.resident_refused = True
    return staff.plan_action(case, at, "refuse", reason="处理结果不够")
