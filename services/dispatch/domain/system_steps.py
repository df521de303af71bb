"""What the system does by itself when time goes by: warn, record a miss, take back a lapsed job, assign."""

from datetime import datetime, timedelta

from msgspec.structs import replace

from services.dispatch.domain.assignment import choose_assignee
from services.dispatch.domain.case import Case
from services.dispatch.domain.case_batch import CaseBatch
from services.dispatch.domain.deadlines import Deadline, is_warning_due

RETRY = timedelta(minutes=1)
"""How often an assignee is looked for while there is none."""
HIGHEST_LEVEL = 8
"""The level beyond which a case does not escalate."""


def check_timers(batch: CaseBatch, case_id: str) -> None:
    """Do what is due of the case; nothing where it is not in the batch."""
    tracked = batch.tracked.get(case_id)
    if tracked is None:
        return
    batch.touch(case_id)
    case = _check_deadlines(batch, tracked.case)
    lease = tracked.workflow.lease
    if lease is not None and case.lease_until is not None and case.lease_until <= batch.now:
        batch.take_system_step(case, lease.action)
    assign_if_due(batch, case_id)


def assign_if_due(batch: CaseBatch, case_id: str, at: datetime | None = None) -> None:
    """Assign the case if the system is to assign it now: as of `at` for a demand that came late, else now.

    The first assignment belongs to the demand, so that what an offline phone did since can follow it.
    """
    tracked = batch.tracked[case_id]
    case, rule = tracked.case, tracked.workflow.assignment
    if rule is None or case.retry_at is None or case.retry_at > batch.now or case.state != rule.state:
        return
    prop, requirements = batch.catalog.get_property(case.property), batch.catalog.requirements_for(case)
    person = choose_assignee(prop, requirements, batch.loads_in(case.property), batch.now)
    if person is None:
        _retry_later(batch, case, at)
    else:
        batch.take_system_step(case, rule.action, at, engineer=person)


def _retry_later(batch: CaseBatch, case: Case, at: datetime | None) -> None:
    """Look again soon; each time that a lease has gone by with nobody there, escalate by one level."""
    lease, since = batch.catalog.terms_for(case).lease, case.told_nobody_at
    if case.level < HIGHEST_LEVEL and (since is None or batch.now - since >= lease):
        case = batch.take_system_step(replace(case, told_nobody_at=batch.now), "escalate", at)
    batch.update_case(replace(case, retry_at=batch.now + RETRY))


def _check_deadlines(batch: CaseBatch, case: Case) -> Case:
    if not batch.catalog.is_worked_on(case):
        return case
    checked = tuple(_check_deadline(batch, case, deadline) for deadline in case.deadlines)
    if checked == case.deadlines:
        return case
    case = replace(case, deadlines=checked)
    batch.update_case(case)
    return case


def _check_deadline(batch: CaseBatch, case: Case, deadline: Deadline) -> Deadline:
    if deadline.passed(batch.now) and deadline.missed_at is None:
        batch.add_notice(case, deadline, "missed")
        return replace(deadline, missed_at=deadline.due_at, warned_at=deadline.warned_at or batch.now)
    if is_warning_due(deadline, batch.now):
        batch.add_notice(case, deadline, "warned")
        return replace(deadline, warned_at=batch.now)
    return deadline
