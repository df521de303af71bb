"""The rework that a dissatisfied answer opens: the same job again, by somebody else where there is one."""

from services.dispatch.domain.assignment import workers_to_exclude
from services.dispatch.domain.case import SYSTEM, Case
from services.dispatch.domain.commands import ConcludeFollowUp
from services.dispatch.domain.opening import NewCase
from services.dispatch.domain.workflow_catalog import WorkflowCatalog


def plan_rework(catalog: WorkflowCatalog, case: Case, command: ConcludeFollowUp) -> NewCase:
    """The rework of `case`, raised when the resident answered."""
    prop, requirements = catalog.get_property(case.property), catalog.requirements_for(case)
    return NewCase(
        id=command.rework,
        property=case.property,
        kind=case.kind,
        raised_at=command.done.answered_at or command.done.done_at,
        actor=SYSTEM,
        priority=case.priority,
        line=case.line,
        subject=case.subject,
        perspective=case.perspective,
        language=case.language,
        rework_of=case.id,
        equipment=case.equipment,
        excluded=workers_to_exclude(prop, requirements, case.workers),
    )
