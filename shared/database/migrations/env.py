"""Alembic's entry: runs inside the connection that `shared.database.migrations` passes on."""

from typing import cast

from alembic import context

from shared.database.migrations import MigrationAttributes, comparison_options

_attributes = cast(MigrationAttributes, context.config.attributes)
_connection = _attributes["connection"]
_on_postgres = _connection.dialect.name == "postgresql"

context.configure(
    connection=_connection,
    **comparison_options(_attributes["service"], _attributes["metadata"], _on_postgres),
)
context.run_migrations()
