"""Alembic's entry: runs inside the connection that `shared.migrations` hands over."""

from alembic import context

from shared.database.migrations import comparison

_attributes = context.config.attributes
_connection = _attributes["connection"]
_service = _attributes["service"]

context.configure(
    connection=_connection,
    **comparison(_service, _attributes["metadata"], _connection.dialect.name == "postgresql"),
)
context.run_migrations()
