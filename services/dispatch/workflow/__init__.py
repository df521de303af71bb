"""Workflows as data: read from files, checked when read, and walked by one flat machine each."""

from services.dispatch.workflow.definition import (
    Action,
    ClockRule,
    Field,
    FollowUpRule,
    LeaseRule,
    State,
    Step,
    Workflow,
)
from services.dispatch.workflow.lint import WorkflowRefused
from services.dispatch.workflow.picture import render_workflows
from services.dispatch.workflow.reading import FOLDER, load_workflows, read_workflow

__all__ = [
    "FOLDER",
    "Action",
    "ClockRule",
    "Field",
    "FollowUpRule",
    "LeaseRule",
    "State",
    "Step",
    "Workflow",
    "WorkflowRefused",
    "load_workflows",
    "read_workflow",
    "render_workflows",
]
