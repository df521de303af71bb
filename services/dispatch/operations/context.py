"""What the parts of dispatch may know of the service."""

from typing import Protocol

from services.dispatch.domain.workflow_catalog import WorkflowCatalog
from services.dispatch.metrics import DispatchMetrics
from services.dispatch.operations.case_actions import CaseActions
from services.dispatch.operations.change_stream import ChangeStream
from shared.host import Host


class DispatchContext(Host, Protocol):
    """The service dispatch: its workflows, the one path of people's actions, the stream of changes."""

    catalog: WorkflowCatalog
    metrics: DispatchMetrics
    case_actions: CaseActions
    change_stream: ChangeStream
