"""Moves a simulated span into the databases that the services use, and takes it out again without a trace."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from shutil import copytree, rmtree
from typing import Any

from msgspec import Struct
from sqlalchemy import (
    ColumnElement,
    Connection,
    MetaData,
    Table,
    delete,
    func,
    inspect,
    literal_column,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from guanjia.properties import generated_properties_dir
from guanjia.simulation.plan import SOURCE
from guanjia.simulation.simulated_property import PROPERTY
from services.dispatch import models as dispatch
from services.intake import models as intake
from services.kpi import models as kpi
from services.survey import models as survey
from shared.database.engine import Database
from shared.database.migrations import upgrade
from shared.messages.cloudevents import split_batch
from shared.messaging.embedded import messages
from shared.messaging.tables import MessagingTables
from shared.settings import Settings

CHUNK = 500
_MARK = f'"property":"{PROPERTY}"'.encode()
"""What every event about the simulated property holds."""
Where = Callable[[Table], ColumnElement[bool]]


def _of_property(table: Table) -> ColumnElement[bool]:
    return table.c.property == PROPERTY


def _of_case(table: Table) -> ColumnElement[bool]:
    return table.c.case_id.in_(select(dispatch.cases.c.id).where(dispatch.cases.c.property == PROPERTY))


def _of_followup(table: Table) -> ColumnElement[bool]:
    ours = select(survey.followups.c.id).where(survey.followups.c.property == PROPERTY)
    return table.c.followup_id.in_(ours)


class StorageKeeper(Struct, frozen=True):
    """A service's tables: those `kept` of a simulation, and how its rows are found again, in which order."""

    name: str
    metadata: MetaData
    messaging_tables: MessagingTables
    kept: Sequence[Table]
    found: Sequence[tuple[Table, Where]]


KEEPERS = (
    StorageKeeper(
        "intake",
        intake.metadata,
        intake.messaging_tables,
        (intake.events, intake.demands, intake.case_states),
        ((intake.demands, _of_property), (intake.events, _of_property)),
    ),
    StorageKeeper(
        "survey",
        survey.metadata,
        survey.messaging_tables,
        (survey.followups, survey.attempts),
        (
            (survey.attempts, _of_followup),
            (survey.form_links, _of_followup),
            (survey.followups, _of_property),
        ),
    ),
    StorageKeeper(
        "kpi",
        kpi.metadata,
        kpi.messaging_tables,
        (kpi.facts, kpi.cases, kpi.items, kpi.standings, kpi.revisions),
        tuple(
            (table, _of_property) for table in (kpi.facts, kpi.cases, kpi.items, kpi.standings, kpi.revisions)
        ),
    ),
    StorageKeeper(
        "dispatch",
        dispatch.metadata,
        dispatch.messaging_tables,
        (
            dispatch.workflow_versions,
            dispatch.cases,
            dispatch.case_history,
            dispatch.timers,
            dispatch.equipment,
            dispatch.equipment_states,
            dispatch.inspections,
            dispatch.withdrawals,
            dispatch.residents,
        ),
        (
            (dispatch.timers, _of_case),
            (dispatch.case_history, _of_case),
            *(
                (table, _of_property)
                for table in (
                    dispatch.equipment,
                    dispatch.equipment_states,
                    dispatch.inspections,
                    dispatch.withdrawals,
                    dispatch.residents,
                    dispatch.cases,
                )
            ),
        ),
    ),
)
"""In the order of removal; kept the other way round: by what dispatch has, others' rows are found."""


@asynccontextmanager
async def _opened(keeper: StorageKeeper, settings: Settings) -> AsyncIterator[Database]:
    database = Database(keeper.name, settings.database_url, settings.data_dir)
    try:
        await upgrade(database, keeper.metadata)
        yield database
    finally:
        await database.dispose()


class Found(Struct, frozen=True):
    """How many events of the simulated property there are: of the simulation's own sources, and of others."""

    simulated: int
    others: int


async def found(settings: Settings) -> Found:
    """What is there under the simulated property's name."""
    async with _opened(KEEPERS[0], settings) as database, database.snapshot() as connection:
        events = intake.events
        ours = events.c.source.startswith(SOURCE)
        query = select(func.count().filter(ours), func.count().filter(~ours))
        row = (await connection.execute(query.where(events.c.property == PROPERTY))).one()
    return Found(row[0], row[1])


async def is_kept(settings: Settings) -> bool:
    """Whether there is a simulation, be it whole or what was left of one by a process that was killed."""
    return (generated_properties_dir(settings) / PROPERTY).exists() or (await found(settings)).simulated > 0


async def keep(lived: Settings, settings: Settings) -> None:
    """Copy what was lived in the folder of `lived` to where the services of `settings` find it."""
    place = generated_properties_dir(settings) / PROPERTY
    copytree(lived.properties_dir / PROPERTY, place, dirs_exist_ok=True)
    for keeper in reversed(KEEPERS):
        async with (
            _opened(keeper, lived) as source,
            _opened(keeper, settings) as target,
            source.snapshot() as reading,
            target.transaction() as writing,
        ):
            for table in keeper.kept:
                await _copy(table, reading, writing)


async def _copy(table: Table, source: AsyncConnection, target: AsyncConnection) -> None:
    """Every row; where a table numbers its rows itself they are numbered anew, in their order."""
    columns = [column for column in table.columns if column.identity is None]
    rows = (await source.execute(select(*columns).order_by(*table.primary_key.columns))).mappings().all()
    on_postgres = target.dialect.name == "postgresql"
    statement: Any = (postgresql if on_postgres else sqlite).insert(table)
    if table is dispatch.workflow_versions:
        statement = statement.on_conflict_do_nothing()
    elif table is dispatch.case_history and on_postgres:
        statement = statement.values(xid=literal_column("(pg_current_xact_id()::text)::bigint"))
        rows = [{k: v for k, v in row.items() if k != "xid"} for row in rows]  # type: ignore[misc]
    for start in range(0, len(rows), CHUNK):
        await target.execute(statement, [dict(row) for row in rows[start : start + CHUNK]])


async def remove(settings: Settings) -> int:
    """Remove the simulated property with all that belongs to it; how many rows that were."""
    count = await _remove_from_bus(settings)
    cases = await _case_ids(settings)
    for keeper in KEEPERS:
        async with _opened(keeper, settings) as database, database.transaction() as connection:
            if keeper.name == "intake":
                count += await _remove_case_states(connection, cases)
            for table, where in keeper.found:
                count += (await connection.execute(delete(table).where(where(table)))).rowcount
            count += await _remove_mechanism(connection, keeper.messaging_tables)
    rmtree(generated_properties_dir(settings) / PROPERTY, ignore_errors=True)
    return count


async def _case_ids(settings: Settings) -> list[str]:
    async with _opened(KEEPERS[-1], settings) as database, database.snapshot() as connection:
        query = select(dispatch.cases.c.id).where(dispatch.cases.c.property == PROPERTY)
        return list((await connection.execute(query)).scalars())


async def _remove_case_states(connection: AsyncConnection, cases: Sequence[str]) -> int:
    count, table = 0, intake.case_states
    for start in range(0, len(cases), CHUNK):
        ours = table.c.case.in_(cases[start : start + CHUNK])
        count += (await connection.execute(delete(table).where(ours))).rowcount
    return count


async def _remove_mechanism(connection: AsyncConnection, messaging_tables: MessagingTables) -> int:
    """What the services still meant to say or could not take, and what they remember of the sources."""
    inbox, count = messaging_tables.inbox, 0
    count += (await connection.execute(delete(inbox).where(inbox.c.source.startswith(SOURCE)))).rowcount
    for table in (messaging_tables.outbox, messaging_tables.dead_letters):
        rows = await connection.execute(select(table.c.id, table.c.body))
        for id_ in [row.id for row in rows if _MARK in row.body]:
            count += (await connection.execute(delete(table).where(table.c.id == id_))).rowcount
    return count


async def _remove_from_bus(settings: Settings) -> int:
    """Take the simulated property's events out of what lies on the embedded bus."""
    if settings.amqp_url or not (settings.database_url or (settings.data_dir / "bus.db").exists()):
        return 0
    database, count = Database("bus", settings.database_url, settings.data_dir), 0
    try:
        async with database.transaction() as connection:
            if not await connection.run_sync(_has_bus):
                return 0
            rows = (await connection.execute(select(messages.c.id, messages.c.body))).all()
            for row in rows:
                if _MARK in row.body:
                    count += 1
                    await _strip(connection, row.id, row.body)
    finally:
        await database.dispose()
    return count


def _has_bus(connection: Connection) -> bool:
    schema = messages.schema if connection.dialect.name == "postgresql" else None
    return inspect(connection).has_table(messages.name, schema=schema)


async def _strip(connection: AsyncConnection, id_: int, body: bytes) -> None:
    this = messages.c.id == id_
    left = [member for member in split_batch(body) if _MARK not in member]
    if left:
        await connection.execute(update(messages).where(this).values(body=b"[" + b",".join(left) + b"]"))
    else:
        await connection.execute(delete(messages).where(this))
