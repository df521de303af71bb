"""What decisions rest on: the workflows, every version that a case may run by, and the properties."""

from collections.abc import Iterable, Mapping

from services.dispatch.domain.assignment import JobRequirements
from services.dispatch.domain.case import Case, CaseTerms
from services.dispatch.domain.workflow.definition import Workflow
from shared.errors import InvalidInput
from shared.messages.facts import Kind
from shared.properties.property import Property


class WorkflowCatalog:
    """Definitions by kind (those that new cases begin with) and by name and version."""

    def __init__(self, workflows: Iterable[Workflow], properties: Mapping[str, Property]) -> None:
        self.properties = properties
        self._by_kind: dict[Kind, Workflow] = {}
        self._versions: dict[tuple[str, int], Workflow] = {}
        for workflow in workflows:
            self.know(workflow)
            self._by_kind.update(dict.fromkeys(workflow.kinds, workflow))

    def know(self, workflow: Workflow) -> None:
        """An earlier version, for the cases that began with it."""
        self._versions[workflow.name, workflow.version] = workflow

    def knows(self, name: str, version: int) -> bool:
        """Whether this version is known."""
        return (name, version) in self._versions

    def for_kind(self, kind: Kind) -> Workflow:
        """The definition that a new case of `kind` begins with."""
        return self._by_kind[kind]

    def of(self, case: Case) -> Workflow:
        """The definition that `case` began with."""
        return self._versions[case.workflow, case.workflow_version]

    def property(self, name: str) -> Property:
        """Raises InvalidInput where there is no such property."""
        found = self.properties.get(name)
        if found is None:
            raise InvalidInput.of("property", "This property is not known", "未知的物业项目")
        return found

    def terms(self, case: Case) -> CaseTerms:
        """What the property says for this case."""
        return CaseTerms.of(self.property(case.property), case.kind, case.priority)

    def need(self, case: Case) -> JobRequirements:
        """What the case asks of whoever takes it."""
        rule = self.of(case).assignment
        roles = rule.roles.get(case.perspective or "service", ()) if rule else ()
        return JobRequirements(
            roles=roles,
            subject=case.subject,
            level=case.level,
            excluded=case.excluded,
            lapsed=case.lapsed,
        )
