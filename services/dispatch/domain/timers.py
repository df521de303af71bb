"""When a case has to be checked again: derived from the case alone."""

from collections.abc import Iterator
from datetime import datetime

from msgspec import Struct

from services.dispatch.domain.case import Case
from services.dispatch.domain.deadlines import next_check
from services.dispatch.domain.workflow.definition import Workflow


class Timer(Struct, frozen=True):
    """`name` is `clock:…`, `lease` or `assign`."""

    name: str
    due_at: datetime


def next_timer(workflow: Workflow, case: Case) -> datetime | None:
    """When this case has to be checked next; None where it never has."""
    return min((timer.due_at for timer in _needed_timers(workflow, case)), default=None)


def timers_for(workflow: Workflow, case: Case) -> frozenset[Timer]:
    """The timers that this case needs as it stands; none once it is over."""
    return frozenset(_needed_timers(workflow, case))


def _needed_timers(workflow: Workflow, case: Case) -> Iterator[Timer]:
    if case.lease_until is not None:
        yield Timer("lease", case.lease_until)
    if case.retry_at is not None:
        yield Timer("assign", case.retry_at)
    if case.state in workflow.open_states and case.state != workflow.follow_up.state:
        for deadline in case.deadlines:
            due_at = next_check(deadline)
            if due_at is not None:
                yield Timer(f"clock:{deadline.name}", due_at)
