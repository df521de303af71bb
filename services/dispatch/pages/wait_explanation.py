"""Why a case waits, and which timer fires next: in words for every case."""

from datetime import datetime

from msgspec import Struct

from services.dispatch.domain.case import Case
from services.dispatch.domain.timers import timers_for
from services.dispatch.domain.workflow.definition import FOLDED
from services.dispatch.pages.action_forms import button_style
from services.dispatch.pages.localizer import Localizer
from services.dispatch.queries.cases import StoredCase


class Moment(Struct, frozen=True):
    """A moment: in short, to the second, and for programs."""

    text: str
    title: str
    iso: str


def localized_moment(localizer: Localizer, case: Case, at: datetime) -> Moment:
    """A moment at the case's property."""
    zone = localizer.catalog.get_property(case.property).timezone
    return Moment(localizer.moment(at, zone), localizer.whole_moment(at, zone), at.isoformat())


def outside_scope_reason(localizer: Localizer, stored: StoredCase) -> str:
    """Why the case is not ours to serve, in the reader's language; empty where it is."""
    case = stored.case
    if case.outside is None:
        return ""
    scope = localizer.catalog.get_property(case.property).scope.decide(stored.request.location)
    return (scope.reason if localizer.language == "zh" else scope.reason_en) or case.outside


def explain_wait(localizer: Localizer, stored: StoredCase, reason: str | None) -> str:
    """What the case waits for."""
    case = stored.case
    workflow = localizer.catalog.workflow_of(case)
    if not workflow.is_open(case.state):
        return localizer.t("why_over")
    if case.outside and case.state == workflow.initial:
        return outside_scope_reason(localizer, stored)
    if case.state == FOLDED:
        return localizer.t("why_folded")
    if case.state == workflow.follow_up.state and case.follow_up:
        return localizer.t("why_follow_up", at=localized_moment(localizer, case, case.follow_up.due_at).text)
    if case.retry_at is not None and case.assignee is None:
        return localizer.t("why_nobody")
    waits = localizer.t("why_reason", reason=localizer.choice(reason)) if reason else ""
    return waits + _explain_turn(localizer, case)


def _explain_turn(localizer: Localizer, case: Case) -> str:
    """Who can move the case on, and how."""
    workflow = localizer.catalog.workflow_of(case)
    names = dict.fromkeys(step.action for step in workflow.by_state[case.state])
    actions = [workflow.actions[name] for name in names if name not in workflow.everywhere]
    moves = [action for action in actions if action.roles]
    if not moves:
        return localizer.t("why_system")
    moves = [action for action in moves if button_style(workflow, case, action) == "primary"] or moves
    if case.assignee and any("engineer" in action.roles for action in moves):
        who = localizer.person(case.property, case.assignee)
        moves = [action for action in moves if "engineer" in action.roles]
    else:
        roles = dict.fromkeys(role for action in moves for role in sorted(action.roles))
        who = localizer.t("or").join(localizer.role(role) for role in roles)
    return localizer.t("why_turn", who=who, actions=localizer.t("comma").join(map(localizer.of, moves)))


def explain_next(localizer: Localizer, case: Case) -> str:
    """What fires next if nobody does anything."""
    timers = timers_for(localizer.catalog.workflow_of(case), case)
    first = min(timers, key=lambda timer: timer.due_at, default=None)
    if first is None:
        return localizer.t("fires_nothing")
    at = localized_moment(localizer, case, first.due_at).text
    if first.name == "lease":
        who = localizer.person(case.property, case.assignee or "")
        return localizer.t("fires_lease", at=at, who=who)
    if first.name == "assign":
        return localizer.t("fires_assign", at=at)
    deadline = next(deadline for deadline in case.deadlines if first.name == f"clock:{deadline.name}")
    key = "fires_warning" if first.due_at == deadline.warn_at else "fires_miss"
    return localizer.t(key, at=at, clock=localizer.deadline(case, deadline.name))
