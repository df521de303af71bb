"""Bring a service's tables up to date at start, safely when several copies start at once.

A service's own revisions lie in `services/<name>/migrations/versions`, those of messaging here.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, cast

from sqlalchemy import Column, Connection, MetaData, String, Table, inspect, select, text
from sqlalchemy.schema import CreateSchema

from shared.database.engine import Database

# Alembic is loaded where it has something to do: it would be a seventh of a start, and of its memory.
if TYPE_CHECKING:
    from alembic.config import Config

HERE = Path(__file__).resolve().parent
_VERSIONS = "alembic_version"
_LOCK = 0x6775616E  # "guan": the advisory lock by which one copy at a time migrates


class MigrationAttributes(TypedDict):
    """What Alembic's entry and the revisions get to know of the service that is migrated."""

    connection: Connection
    metadata: MetaData
    service: str


def _revision_folders(service: str) -> tuple[Path, Path]:
    return HERE / "versions", HERE.parents[2] / "services" / service / "migrations" / "versions"


def find_newest(service: str) -> set[str]:
    """The newest revision of each folder: its file is named as it, and is the last by name."""
    return {max(file.stem for file in folder.glob("*_*.py")) for folder in _revision_folders(service)}


def make_config(service: str, metadata: MetaData, connection: Connection) -> "Config":
    """Alembic's configuration for one service on `connection`."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(HERE))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", "\n".join(map(str, _revision_folders(service))))
    attributes = MigrationAttributes(connection=connection, metadata=metadata, service=service)
    config.attributes.update(attributes)
    return config


async def upgrade(database: Database, metadata: MetaData) -> None:
    """Apply every revision that is missing, in one transaction."""
    async with database.snapshot() as connection:
        if await connection.run_sync(_read_versions, database.service) == find_newest(database.service):
            return
    async with database.transaction() as connection:
        if database.is_postgres:
            await connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
            await connection.execute(CreateSchema(database.service, if_not_exists=True))
        await connection.run_sync(_upgrade_to, database.service, metadata, "heads")


def _read_versions(connection: Connection, service: str) -> set[str]:
    """The revisions that the tables are at; none where there are no tables. Committed, hence complete."""
    schema = service if connection.dialect.name == "postgresql" else None
    if not inspect(connection).has_table(_VERSIONS, schema):
        return set()
    versions = Table(_VERSIONS, MetaData(), Column("version_num", String), schema=schema)
    return set(connection.scalars(select(versions.c.version_num)))


def _upgrade_to(connection: Connection, service: str, metadata: MetaData, target: str) -> None:
    from alembic import command

    command.upgrade(make_config(service, metadata, connection), target)


def compare_tables(connection: Connection, service: str, metadata: MetaData) -> list[object]:
    """What the migrated tables lack against the models: empty where they agree."""
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    on_postgres = connection.dialect.name == "postgresql"
    expected = metadata if on_postgres else copy_without_schema(metadata)
    context = MigrationContext.configure(connection, opts=comparison_options(service, expected, on_postgres))
    return list(compare_metadata(context, expected))


def copy_without_schema(metadata: MetaData) -> MetaData:
    """The same tables as SQLite knows them."""
    plain = MetaData(naming_convention=metadata.naming_convention)
    for table in metadata.sorted_tables:
        table.to_metadata(plain, schema=cast(str, None))  # None: without one, which its types leave out
    return plain


def comparison_options(service: str, metadata: MetaData, on_postgres: bool) -> dict[str, Any]:
    """How tables are compared: only this service's schema."""

    def is_own(name: str | None, kind: str, _: object) -> bool:
        return name == service if kind == "schema" else name != _VERSIONS

    return {
        "target_metadata": metadata,
        "include_schemas": on_postgres,
        "include_name": is_own if on_postgres else None,
        "version_table_schema": service if on_postgres else None,
        "compare_type": False,
    }
