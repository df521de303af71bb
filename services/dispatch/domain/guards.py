"""What must hold for a step to be open: the guards that a workflow may name, and its required stamps."""

from collections.abc import Callable, Mapping

from services.dispatch.domain.case import Case
from services.dispatch.domain.workflow.definition import Step

CASE_GUARDS: Mapping[str, Callable[[Case], bool]] = {
    "countersigned": lambda case: bool(case.findings) and case.findings[-1].effective_at is not None,
    "unsigned": lambda case: bool(case.findings) and case.findings[-1].effective_at is None,
    "outside_scope": lambda case: case.outside is not None,
}
"""Guards that look at the case."""

ACTOR_GUARDS: Mapping[str, Callable[[Case, str], bool]] = {
    "other_judge": lambda case, person: all(finding.by != person for finding in case.findings),
    "other_signer": lambda case, person: not case.findings or case.findings[-1].by != person,
}
"""Guards that look at who acts: 1 % of valid complaints would otherwise be self-certified."""

GUARDS = frozenset({*CASE_GUARDS, *ACTOR_GUARDS})
"""Every name that a definition may use."""


def case_guards_hold(step: Step, case: Case) -> bool:
    """Whether the case as it is may take `step`, whoever acts."""
    stamped = all(stamp in case.stamps for stamp in step.requires_stamps)
    return stamped and all(CASE_GUARDS[guard](case) for guard in step.guards if guard in CASE_GUARDS)


def actor_guards_hold(step: Step, case: Case, person: str) -> bool:
    """Whether `person` may be the one who takes `step`."""
    return all(ACTOR_GUARDS[guard](case, person) for guard in step.guards if guard in ACTOR_GUARDS)
