"""Keeps every definition that cases began with: a case goes on by its own version."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection

from services.dispatch.domain.earlier_forms import upgrade_definition
from services.dispatch.domain.workflow.definition import Workflow
from services.dispatch.domain.workflow.loader import build_workflow, load_workflows
from services.dispatch.domain.workflow_catalog import WorkflowCatalog
from services.dispatch.models import workflow_versions
from services.dispatch.queries.workflow_versions import StoredDefinition, list_definitions
from shared.database.bulk import BulkInsert
from shared.properties.kind_files import WorkflowRefused, parse_tables
from shared.properties.property import Property

_INSERT_VERSIONS = BulkInsert(workflow_versions, lambda insert: insert.on_conflict_do_nothing())


async def load_catalog(
    connection: AsyncConnection,
    properties: Mapping[str, Property],
    now: datetime,
    folders: Sequence[Path],
) -> WorkflowCatalog:
    """The definitions in the files of `folders` and every version that was ever used.

    Raises WorkflowRefused where a file changed without a new version: open cases would change underfoot.
    """
    current = load_workflows(folders)
    await _store_versions(connection, current, now)
    catalog = WorkflowCatalog(current.values(), properties)
    for stored in await list_definitions(connection):
        _check_unchanged(current, stored)
        if not catalog.has_version(stored.name, stored.version):
            catalog.add_version(_read_stored(stored))
    return catalog


def _check_unchanged(current: Mapping[str, Workflow], stored: StoredDefinition) -> None:
    workflow = current.get(stored.name)
    if workflow and workflow.version == stored.version and workflow.digest != stored.digest:
        reason = f"version {stored.version} is in use with other content; give the change a new version"
        raise WorkflowRefused(f"{stored.name}.toml", "version", reason)


def _read_stored(stored: StoredDefinition) -> Workflow:
    file = f"{stored.name}.toml, version {stored.version}"
    return build_workflow(upgrade_definition(parse_tables(stored.definition, file)), stored.definition, file)


async def _store_versions(
    connection: AsyncConnection, current: Mapping[str, Workflow], now: datetime
) -> None:
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
        await _INSERT_VERSIONS.execute(connection, rows)
