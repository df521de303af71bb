"""A service's tables brought to a revision, up or down, as its start or an operator does."""

from alembic import command
from sqlalchemy import MetaData

from shared.database.engine import Database
from shared.database.migrations import make_config


async def migrate_to(database: Database, metadata: MetaData, revision: str) -> None:
    """Migrate to `revision`; `heads` is up, every other one down."""
    move = command.upgrade if revision == "heads" else command.downgrade
    async with database.transaction() as connection:
        await connection.run_sync(lambda sync: move(make_config(database.service, metadata, sync), revision))
