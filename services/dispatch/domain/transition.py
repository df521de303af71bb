"""How a case takes a step: who may, from where, with what, when; then its clocks, lease and follow-up."""

from datetime import UTC, datetime

from msgspec.structs import replace

from services.dispatch.domain import deadlines
from services.dispatch.domain.action_fields import check_fields, check_required
from services.dispatch.domain.case import (
    Actor,
    Case,
    CaseTerms,
    FollowUp,
    HistoryEntry,
    ReportedAction,
    Transition,
)
from services.dispatch.domain.effects import StepContext, apply_effects
from services.dispatch.domain.errors import ActionNotAllowed, NotYours
from services.dispatch.domain.guards import actor_guards_hold, case_guards_hold
from services.dispatch.domain.workflow.definition import FOLDED, Action, Step, Workflow
from shared.errors import InvalidInput, NotAllowed
from shared.messages.facts import Line


def advance(
    workflow: Workflow, case: Case, act: ReportedAction, terms: CaseTerms, now: datetime
) -> Transition:
    """The step that `act` makes `case` take, as judged when it happened.

    Raises NotAllowed or NotYours (not this actor), ActionNotAllowed (not in this state), InvalidInput.
    """
    action = _action(workflow, case, act)
    data = check_fields(action, act.data, terms)
    step = workflow.find_step(case.state, act.action, data)
    if step is None:
        raise _refused(workflow, case, act)
    check_required(step, data)
    _check_person(step, case, act.actor)
    at = _check_time(case, act.at, now)
    affected = apply_effects(step.effects, StepContext(case=case, actor=act.actor, at=at, data=data))
    stamped = replace(affected, version=case.version + 1, at=at, stamps=_stamps(step, case, at))
    after = _enter_state(workflow, step, stamped, terms, now)
    return Transition(before=case, after=after, entry=_entry(case, after, act, at, now, data))


def add_system_entry(case: Case, act: ReportedAction, now: datetime) -> Transition:
    """An entry of the system's own that leaves the case where it is, even closed."""
    at = max(act.at or now, case.at)
    after = replace(case, version=case.version + 1, at=at)
    return Transition(before=case, after=after, entry=_entry(case, after, act, at, now, act.data))


def allowed_actions(workflow: Workflow, case: Case, actor: Actor) -> list[Action]:
    """What this actor may do now, in the order of the definition; never what only the system does."""
    open_to_it = {
        step.action
        for step in workflow.by_state[case.state]
        if case_guards_hold(step, case)
        and _may_act(workflow.actions[step.action], case, actor)
        and actor_guards_hold(step, case, actor.person)
    }
    return [action for name, action in workflow.actions.items() if name in open_to_it and action.roles]


def _stamps(step: Step, case: Case, at: datetime) -> dict[str, datetime]:
    """What the case bears after `step`, each since when."""
    kept = {name: since for name, since in case.stamps.items() if name not in step.unstamp}
    return kept | dict.fromkeys(step.stamp, at)


def _action(workflow: Workflow, case: Case, act: ReportedAction) -> Action:
    action = workflow.actions.get(act.action)
    if action is None or not (action.roles or act.actor.system):
        raise _refused(workflow, case, act)
    if not _may_act(action, case, act.actor):
        raise NotYours() if action.roles & act.actor.roles else NotAllowed()
    ways = [step for step in workflow.by_state[case.state] if step.action == act.action]
    if not any(case_guards_hold(step, case) for step in ways):
        raise _refused(workflow, case, act)
    return action


def _refused(workflow: Workflow, case: Case, act: ReportedAction) -> ActionNotAllowed:
    return ActionNotAllowed(case.id, case.state, act.action, allowed_actions(workflow, case, act.actor))


def _may_act(action: Action, case: Case, actor: Actor) -> bool:
    """An engineer acts on what is assigned to them, everybody else on all that their role is for."""
    if actor.rules_all:
        return True
    roles = action.roles & actor.roles
    return bool(roles - {"engineer"}) or (bool(roles) and case.assignee == actor.person)


def _check_person(step: Step, case: Case, actor: Actor) -> None:
    if not actor_guards_hold(step, case, actor.person):
        raise NotYours()


def _check_time(case: Case, at: datetime | None, now: datetime) -> datetime:
    """When it happened. A clock that runs ahead elsewhere must not make "now" come before the last entry."""
    latest = max(now, case.at)
    if at is None:
        return latest
    if at < case.at:
        raise InvalidInput.of("at", "This is before the entry that it follows", "早于上一条记录的时间")
    if at > latest:
        raise InvalidInput.of("at", "This is in the future", "时间在未来")
    return at.astimezone(UTC)


def _entry(
    before: Case, after: Case, act: ReportedAction, at: datetime, now: datetime, data: dict[str, object]
) -> HistoryEntry:
    return HistoryEntry(
        seq=after.version,
        action=act.action,
        from_state=before.state,
        to_state=after.state,
        at=at,
        recorded_at=now,
        actor=act.actor.person,
        recorded_by=act.actor.recorded_by,
        data=data,
    )


def _enter_state(workflow: Workflow, step: Step, case: Case, terms: CaseTerms, now: datetime) -> Case:
    """The case in its new state, with what follows from being there."""
    state = case.state if step.to == "=" else step.to
    moved = state != case.state or step.action == (workflow.assignment and workflow.assignment.action)
    case = replace(case, state=state, deadlines=_advance_deadlines(workflow, step.action, state, case, terms))
    if not moved:
        return case
    case = replace(
        case, lease_until=_lease(workflow, case, terms, now), retry_at=_retry(workflow, case, terms)
    )
    if state == workflow.follow_up.state:
        return replace(case, follow_up=_follow_up(workflow, case))
    end = workflow.states[state].final
    return replace(case, ended_at=case.ended_at or case.at) if end and end != "done" else case


def _advance_deadlines(
    workflow: Workflow, action: str, state: str, case: Case, terms: CaseTerms
) -> tuple[deadlines.Deadline, ...]:
    rules = {rule.name: rule for rule in workflow.deadline_rules}
    over = state not in workflow.open_states or state == workflow.follow_up.state
    advanced = []
    for deadline in case.deadlines:
        rule = rules[deadline.name]
        if action in rule.ends:
            deadline = deadlines.meet_deadline(deadline, case.at, terms.prop.calendar(deadline.calendar))
        elif over:
            deadline = deadlines.stop_deadline(deadline, case.at)
        elif state == FOLDED or state in rule.pauses:
            deadline = deadlines.pause_deadline(deadline, case.at)
        elif deadline.paused_since is not None:
            deadline = deadlines.resume_deadline(deadline, case.at, terms.prop.calendar(deadline.calendar))
        advanced.append(deadline)
    return tuple(advanced)


def _lease(workflow: Workflow, case: Case, terms: CaseTerms, now: datetime) -> datetime | None:
    """Until when it is to be accepted: whoever got it can't know of it before we do."""
    tracked = workflow.lease is not None and case.state == workflow.lease.state and terms.automatic
    return max(case.at, now) + terms.lease if tracked else None


def _retry(workflow: Workflow, case: Case, terms: CaseTerms) -> datetime | None:
    """Back where the system assigns: it is to do so at once."""
    rule = workflow.assignment
    waits = rule is not None and case.state == rule.state and terms.automatic and case.outside is None
    return case.at if waits and terms.people else None


def _follow_up(workflow: Workflow, case: Case) -> FollowUp:
    rule = workflow.follow_up
    return FollowUp(
        line=follow_up_line(workflow, case),
        due_at=(case.done_at or case.at) + rule.within,
        since=case.at,
        workers=case.workers,
    )


def follow_up_line(workflow: Workflow, case: Case) -> Line:
    """The line that its follow-up rates: the workflow's, or the one that the demand named."""
    line = workflow.follow_up.line
    return (case.line or "customer_service") if line == "named" else line
