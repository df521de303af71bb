"""Copies a simulated span into the databases that the services use, and tells whether there is one."""

from datetime import UTC, datetime
from shutil import copytree

from msgspec import Struct
from sqlalchemy import Table, delete, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from guanjia.properties import generated_properties_dir
from guanjia.simulation.plan import SOURCE
from guanjia.simulation.service_tables import SERVICE_TABLES, open_database
from guanjia.simulation.simulated_property import PROPERTY
from services.dispatch import models as dispatch
from services.intake import models as intake
from shared.messaging.outbox import XID
from shared.settings import Settings

CHUNK = 500
_Insert = postgresql.Insert | sqlite.Insert


class EventCounts(Struct, frozen=True):
    """How many events of the simulated property there are: of the simulation's own sources, and of others."""

    simulated: int
    others: int


async def count_events(settings: Settings) -> EventCounts:
    """How many events there are under the simulated property's name."""
    async with open_database(SERVICE_TABLES[0], settings) as database, database.snapshot() as connection:
        events = intake.events
        simulated = events.c.source.startswith(SOURCE)
        query = select(func.count().filter(simulated), func.count().filter(~simulated))
        row = (await connection.execute(query.where(events.c.property == PROPERTY))).one()
    return EventCounts(row[0], row[1])


async def is_stored(settings: Settings) -> bool:
    """Whether there is a simulation, be it whole or the part that a killed process copied."""
    return (generated_properties_dir(settings) / PROPERTY).exists() or (
        await count_events(settings)
    ).simulated > 0


async def store_simulation(simulated: Settings, settings: Settings) -> None:
    """Copy the simulation in the folder of `simulated` to where the services of `settings` find it."""
    folder = generated_properties_dir(settings) / PROPERTY
    copytree(simulated.properties_dir / PROPERTY, folder, dirs_exist_ok=True)
    for tables in reversed(SERVICE_TABLES):
        async with (
            open_database(tables, simulated) as source,
            open_database(tables, settings) as target,
            source.snapshot() as reading,
            target.transaction() as writing,
        ):
            for table in tables.copied:
                await _copy_table(table, reading, writing)


async def _copy_table(table: Table, source: AsyncConnection, target: AsyncConnection) -> None:
    """Copy every row; steps become those of one transaction, in their order."""
    columns = [*table.columns]
    result = await source.execute(select(*columns).order_by(*table.primary_key.columns))
    rows = [dict(row) for row in result.mappings()]
    on_postgres = target.dialect.name == "postgresql"
    statement: _Insert = postgresql.insert(table) if on_postgres else sqlite.insert(table)
    if table is dispatch.workflow_versions:
        statement = statement.on_conflict_do_nothing()
    elif table is dispatch.steps:
        xid = await _take_xid(target)
        rows = [{**row, "xid": xid} for row in rows]
    elif table is intake.events:  # of no transaction here: it is not to be published
        rows = [row | {"xid": None} for row in rows]
    for start in range(0, len(rows), CHUNK):
        await target.execute(statement, rows[start : start + CHUNK])


async def _take_xid(connection: AsyncConnection) -> int:
    """The number of this transaction; on SQLite the next one that nothing is to be published of."""
    if connection.dialect.name == "postgresql":
        return int((await connection.execute(select(XID))).scalar_one())
    unsent = dispatch.messaging_tables.unsent
    now = datetime.now(UTC)
    row = {"events": 0, "recorded_at": now, "available_at": now, "attempts": 0}
    xid = int((await connection.execute(insert(unsent).values(row).returning(unsent.c.xid))).scalar_one())
    await connection.execute(delete(unsent).where(unsent.c.xid == xid))
    return xid
