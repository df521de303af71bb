"""Cases that are folded into another one, their parent: which may be, and how they end when it ends."""

from msgspec.structs import replace

from services.dispatch.domain.case import Case
from services.dispatch.domain.case_batch import CaseBatch
from services.dispatch.domain.system_steps import assign_if_due
from services.dispatch.domain.workflow.definition import FOLDED, End
from shared.errors import InvalidInput


def check_parent(batch: CaseBatch, case: Case, parent_id: str) -> None:
    """Raises InvalidInput where `case` can't be folded into `parent_id`: another case of the same property
    that is being worked on. It is to be written too: nobody may end it meanwhile without ending `case`."""
    tracked = batch.tracked.get(parent_id)
    if tracked is None or parent_id == case.id or tracked.case.property != case.property:
        raise InvalidInput.of("data.parent", "There is no such other case here", "未找到该工单")
    if not batch.catalog.is_worked_on(tracked.case) or tracked.case.state == FOLDED:
        raise InvalidInput.of("data.parent", "That case is not being worked on", "该工单已不在处理中")
    batch.touch(parent_id)


def end_children(batch: CaseBatch) -> None:
    """End the cases that are folded into those that ended, as these did; each gets its own follow-up."""
    ended, batch.ended = batch.ended, {}
    folded = [tracked.case for tracked in batch.tracked.values() if tracked.case.state == FOLDED]
    for case in sorted(folded, key=lambda case: case.id):
        if case.parent in ended:
            _end_child(batch, case, batch.tracked[case.parent].case, ended[case.parent])


def _end_child(batch: CaseBatch, case: Case, parent: Case, end: End) -> None:
    if end == "done":
        case = replace(case, done_at=parent.done_at or parent.at, workers=parent.workers)
    action = {"done": "parent_done", "cancelled": "parent_cancelled"}.get(end, "parent_declined")
    batch.take_system_step(case, action, parent.at)
    assign_if_due(batch, case.id)
