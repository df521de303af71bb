"""Why a step was refused."""

from collections.abc import Sequence
from typing import Any

from services.dispatch.domain.workflow.definition import Action
from shared.errors import Conflict, NotAllowed


def describe_action(action: Action) -> dict[str, Any]:
    """An action for callers: its fields with their types, and which of them are required."""
    return {
        "action": action.name,
        "fields": {field.name: field.type_name for field in action.fields},
        "required": [field.name for field in action.fields if field.required],
    }


class ActionNotAllowed(Conflict):
    """In this state the case does not take this action; `allowed` are those that it takes from this actor."""

    code = "action-not-allowed"
    title = "The case does not take this action in its state"
    title_zh = "工单当前状态不允许此操作"

    def __init__(self, case: str, state: str, action: str, allowed: Sequence[Action]) -> None:
        super().__init__()
        self.case, self.state, self.action, self.allowed = case, state, action, tuple(allowed)

    def members(self) -> dict[str, Any]:
        return {"state": self.state, "actions": [describe_action(action) for action in self.allowed]}


class NotYours(NotAllowed):
    """The step is somebody else's to take."""

    code = "not-yours"
    title = "This step is somebody else's to take"
    title_zh = "此操作须由他人执行"
