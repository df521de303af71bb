"""Takes a simulation out of the databases that the services use, without a trace."""

from collections.abc import Sequence
from shutil import rmtree

from sqlalchemy import Connection, delete, inspect, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from guanjia.properties import generated_properties_dir
from guanjia.simulation.plan import SOURCE
from guanjia.simulation.service_tables import SERVICE_TABLES, open_database
from guanjia.simulation.simulated_property import PROPERTY
from services.dispatch import models as dispatch
from services.intake import models as intake
from shared.database.engine import Database
from shared.messages.cloudevents import split_batch
from shared.messaging.embedded import messages
from shared.messaging.tables import MessagingTables
from shared.settings import Settings

CHUNK = 500
_PROPERTY_MARK = f'"property":"{PROPERTY}"'.encode()
"""What every event about the simulated property holds."""


async def delete_simulation(settings: Settings) -> int:
    """Remove the simulated property with all that belongs to it; how many rows that were."""
    count = await _remove_from_bus(settings)
    cases = await _list_case_ids(settings)
    for tables in SERVICE_TABLES:
        async with open_database(tables, settings) as database, database.transaction() as connection:
            if tables.name == "intake":
                count += await _remove_case_states(connection, cases)
            for table, is_ours in tables.owned:
                count += (await connection.execute(delete(table).where(is_ours(table)))).rowcount
            count += await _remove_messages(connection, tables.messaging_tables)
    rmtree(generated_properties_dir(settings) / PROPERTY, ignore_errors=True)
    return count


async def _list_case_ids(settings: Settings) -> list[str]:
    async with open_database(SERVICE_TABLES[-1], settings) as database, database.snapshot() as connection:
        query = select(dispatch.cases.c.id).where(dispatch.cases.c.property == PROPERTY)
        return list((await connection.execute(query)).scalars())


async def _remove_case_states(connection: AsyncConnection, cases: Sequence[str]) -> int:
    """intake knows no property of a case, only its id."""
    count, table = 0, intake.case_states
    for start in range(0, len(cases), CHUNK):
        simulated = table.c.case.in_(cases[start : start + CHUNK])
        count += (await connection.execute(delete(table).where(simulated))).rowcount
    return count


async def _remove_messages(connection: AsyncConnection, messaging_tables: MessagingTables) -> int:
    """Events not yet published, dead letters, and the names of the simulation's own events in the inbox."""
    inbox, count = messaging_tables.inbox, 0
    count += (await connection.execute(delete(inbox).where(inbox.c.source.startswith(SOURCE)))).rowcount
    for table in (messaging_tables.outbox, messaging_tables.dead_letters):
        key = [*table.primary_key.columns]
        rows = (await connection.execute(select(*key, table.c.body))).all()
        for *name, body in rows:
            if _PROPERTY_MARK in body:
                count += (await connection.execute(delete(table).where(tuple_(*key) == tuple(name)))).rowcount
    return count


async def _remove_from_bus(settings: Settings) -> int:
    """Take the simulated property's events out of what lies on the embedded bus."""
    if settings.amqp_url or not (settings.database_url or (settings.data_dir / "bus.db").exists()):
        return 0
    database, count = Database("bus", settings.database_url, settings.data_dir), 0
    try:
        async with database.transaction() as connection:
            if not await connection.run_sync(_has_bus_table):
                return 0
            rows = (await connection.execute(select(messages.c.id, messages.c.body))).all()
            for row in rows:
                if _PROPERTY_MARK in row.body:
                    count += 1
                    await _remove_from_message(connection, row.id, row.body)
    finally:
        await database.dispose()
    return count


def _has_bus_table(connection: Connection) -> bool:
    schema = messages.schema if connection.dialect.name == "postgresql" else None
    return inspect(connection).has_table(messages.name, schema=schema)


async def _remove_from_message(connection: AsyncConnection, id_: int, body: bytes) -> None:
    """Take the property's events out of a message; the whole message where it holds no others."""
    this = messages.c.id == id_
    others = [member for member in split_batch(body) if _PROPERTY_MARK not in member]
    if others:
        await connection.execute(update(messages).where(this).values(body=b"[" + b",".join(others) + b"]"))
    else:
        await connection.execute(delete(messages).where(this))
