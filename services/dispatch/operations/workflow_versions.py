"""Keeps every definition that cases began with: a case goes on by its own version."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from services.dispatch.domain.workflow.definition import Workflow
from services.dispatch.domain.workflow.lint import WorkflowRefused
from services.dispatch.domain.workflow.loader import FOLDER, load_workflows, read_workflow
from services.dispatch.domain.workflow_catalog import WorkflowCatalog
from services.dispatch.models import workflow_versions
from shared.properties.property import Property


async def load_catalog(
    connection: AsyncConnection, properties: Mapping[str, Property], now: datetime, folder: Path = FOLDER
) -> WorkflowCatalog:
    """The rules by the files of `folder` and every version that was ever used.

    Raises WorkflowRefused where a file changed without a new version: open cases would change underfoot.
    """
    current = load_workflows(folder)
    await _store_versions(connection, current, now)
    catalog = WorkflowCatalog(current.values(), properties)
    for row in await connection.execute(select(workflow_versions)):
        found = current.get(row.name)
        if found is not None and found.version == row.version and found.digest != row.digest:
            reason = f"version {row.version} is in use with other content; give the change a new version"
            raise WorkflowRefused(f"{row.name}.toml", "version", reason)
        if not catalog.knows(row.name, row.version):
            catalog.know(read_workflow(row.definition, f"{row.name}.toml, version {row.version}"))
    return catalog


async def _store_versions(
    connection: AsyncConnection, current: Mapping[str, Workflow], now: datetime
) -> None:
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    rows = [
        {
            "name": workflow.name,
            "version": workflow.version,
            "digest": workflow.digest,
            "definition": workflow.text,
            "stored_at": now,
        }
        for workflow in current.values()
    ]
    if rows:
        await connection.execute(dialect.insert(workflow_versions).on_conflict_do_nothing(), rows)
