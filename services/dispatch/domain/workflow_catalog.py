"""What decisions rest on: the workflows, every version that a case may run by, and the properties."""

from collections.abc import Iterable, Mapping

from services.dispatch.domain.assignment import JobRequirements
from services.dispatch.domain.case import Case, CaseTerms
from services.dispatch.domain.workflow.definition import Workflow
from shared.errors import InvalidInput
from shared.messages.facts import Kind
from shared.messages.kinds import KindEntry
from shared.properties.property import Property


class WorkflowCatalog:
    """Definitions by kind (those that new cases begin with) and by name and version."""

    def __init__(self, workflows: Iterable[Workflow], properties: Mapping[str, Property]) -> None:
        self.properties = properties
        self.kinds: dict[Kind, KindEntry] = {}
        self._by_kind: dict[Kind, Workflow] = {}
        self._versions: dict[tuple[str, int], Workflow] = {}
        for workflow in workflows:
            self.add_version(workflow)
            self._by_kind.update(dict.fromkeys(workflow.kinds, workflow))
            self.kinds.update(workflow.kinds)

    def add_version(self, workflow: Workflow) -> None:
        """Add an earlier version, for the cases that began with it."""
        self._versions[workflow.name, workflow.version] = workflow

    def has_version(self, name: str, version: int) -> bool:
        """Whether the catalog has this version of the definition `name`."""
        return (name, version) in self._versions

    def workflow_for_kind(self, kind: Kind) -> Workflow:
        """The definition that a new case of `kind` begins with. Raises InvalidInput for an unknown kind."""
        workflow = self._by_kind.get(kind)
        if workflow is None:
            raise InvalidInput.of("kind", "There is no such kind of demand", "没有这种需求类型")
        return workflow

    @property
    def current_workflows(self) -> list[Workflow]:
        """The definitions that new cases begin with."""
        return list({workflow.name: workflow for workflow in self._by_kind.values()}.values())

    def workflow_of(self, case: Case) -> Workflow:
        """The definition that `case` began with."""
        return self._versions[case.workflow, case.workflow_version]

    def is_worked_on(self, case: Case) -> bool:
        """Whether the case is open and its work not finished yet: its deadlines run or wait."""
        workflow = self.workflow_of(case)
        return workflow.is_open(case.state) and case.state != workflow.follow_up.state

    def is_busy(self, case: Case) -> bool:
        """Whether the case occupies its assignee."""
        return case.assignee is not None and self.workflow_of(case).states[case.state].busy

    def get_property(self, name: str) -> Property:
        """The property of this id. Raises InvalidInput where there is none."""
        prop = self.properties.get(name)
        if prop is None:
            raise InvalidInput.of("property", "This property is not known", "未知的物业项目")
        return prop

    def terms_for(self, case: Case) -> CaseTerms:
        """What the property promises for the kind and priority of `case`."""
        return CaseTerms.of(self.get_property(case.property), case.kind, case.priority)

    def requirements_for(self, case: Case) -> JobRequirements:
        """What the case requires of its assignee."""
        rule = self.workflow_of(case).assignment
        roles = rule.roles.get(case.perspective or "service", ()) if rule else ()
        return JobRequirements(
            roles=roles,
            subject=case.subject,
            level=case.level,
            excluded=case.excluded,
            lapsed=case.lapsed,
        )
