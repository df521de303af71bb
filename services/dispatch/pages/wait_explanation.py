"""Why a case waits, and what fires next: answered for every case."""

from datetime import datetime

from msgspec import Struct

from services.dispatch.domain.case import Case
from services.dispatch.domain.timers import timers_for
from services.dispatch.domain.workflow.definition import FOLDED
from services.dispatch.pages.action_forms import button_weight
from services.dispatch.pages.localizer import Localizer
from services.dispatch.queries import StoredCase


class Moment(Struct, frozen=True):
    """A moment: short, whole, and for programs."""

    text: str
    title: str
    iso: str


def localized_moment(reader: Localizer, case: Case, at: datetime) -> Moment:
    """A moment at the case's property."""
    zone = reader.rules.property(case.property).timezone
    return Moment(reader.moment(at, zone), reader.whole_moment(at, zone), at.isoformat())


def outside_scope_reason(reader: Localizer, stored: StoredCase) -> str:
    """Why the case is not ours to serve, in the reader's language; empty where it is."""
    case = stored.case
    if case.outside is None:
        return ""
    answer = reader.rules.property(case.property).scope.serves(stored.papers.location)
    return (answer.reason if reader.language == "zh" else answer.reason_en) or case.outside


def explain_wait(reader: Localizer, stored: StoredCase, reason: str | None) -> str:
    """What the case waits for."""
    case = stored.case
    workflow = reader.rules.of(case)
    if not workflow.is_open(case.state):
        return reader.t("why_over")
    if case.outside and case.state == workflow.initial:
        return outside_scope_reason(reader, stored)
    if case.state == FOLDED:
        return reader.t("why_folded")
    if case.state == workflow.follow_up.state and case.follow_up:
        return reader.t("why_follow_up", at=localized_moment(reader, case, case.follow_up.due_at).text)
    if case.retry_at is not None and case.assignee is None:
        return reader.t("why_nobody")
    waits = reader.t("why_told", reason=reader.choice(reason)) if reason else ""
    return waits + _whose_turn(reader, case)


def _whose_turn(reader: Localizer, case: Case) -> str:
    """Who can move the case on, and how."""
    workflow = reader.rules.of(case)
    names = dict.fromkeys(step.action for step in workflow.by_state[case.state])
    actions = [workflow.actions[name] for name in names if name not in workflow.everywhere]
    moves = [action for action in actions if action.roles]
    if not moves:
        return reader.t("why_system")
    moves = [action for action in moves if button_weight(workflow, case, action) == "primary"] or moves
    if case.assignee and any("engineer" in action.roles for action in moves):
        who = reader.person(case.property, case.assignee)
        moves = [action for action in moves if "engineer" in action.roles]
    else:
        roles = dict.fromkeys(role for action in moves for role in sorted(action.roles))
        who = reader.t("or").join(reader.role(role) for role in roles)
    return reader.t("why_turn", who=who, actions=reader.t("comma").join(map(reader.of, moves)))


def explain_next(reader: Localizer, case: Case) -> str:
    """What fires next if nobody does anything."""
    timers = timers_for(reader.rules.of(case), case)
    first = min(timers, key=lambda timer: timer.due_at, default=None)
    if first is None:
        return reader.t("fires_nothing")
    at = localized_moment(reader, case, first.due_at).text
    if first.name == "lease":
        who = reader.person(case.property, case.assignee or "")
        return reader.t("fires_lease", at=at, who=who)
    if first.name == "assign":
        return reader.t("fires_assign", at=at)
    clock = next(clock for clock in case.clocks if first.name == f"clock:{clock.clock}")
    key = "fires_warning" if first.due_at == clock.warn_at else "fires_miss"
    return reader.t(key, at=at, clock=reader.clock(case, clock.clock))
