"""The tables in which each service keeps what belongs to the simulated property."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from msgspec import Struct
from sqlalchemy import ColumnElement, MetaData, Table, select

from guanjia.simulation.simulated_property import PROPERTY
from services.dispatch import models as dispatch
from services.intake import models as intake
from services.kpi import models as kpi
from services.survey import models as survey
from shared.database.engine import Database
from shared.database.migrations import upgrade
from shared.messaging.tables import MessagingTables
from shared.settings import Settings

RowFilter = Callable[[Table], ColumnElement[bool]]


def _of_property(table: Table) -> ColumnElement[bool]:
    return table.c.property == PROPERTY


def _of_case(table: Table) -> ColumnElement[bool]:
    return table.c.case_id.in_(select(dispatch.cases.c.id).where(dispatch.cases.c.property == PROPERTY))


def _of_followup(table: Table) -> ColumnElement[bool]:
    simulated = select(survey.followups.c.id).where(survey.followups.c.property == PROPERTY)
    return table.c.followup_id.in_(simulated)


class ServiceTables(Struct, frozen=True):
    """A service's tables: those that are `copied` of a simulation, and how rows of it are recognised."""

    name: str
    metadata: MetaData
    messaging_tables: MessagingTables
    copied: Sequence[Table]
    owned: Sequence[tuple[Table, RowFilter]]


SERVICE_TABLES = (
    ServiceTables(
        "intake",
        intake.metadata,
        intake.messaging_tables,
        (intake.events, intake.case_states),
        ((intake.events, _of_property),),
    ),
    ServiceTables(
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
    ServiceTables(
        "kpi",
        kpi.metadata,
        kpi.messaging_tables,
        (kpi.facts, kpi.cases, kpi.items, kpi.standings, kpi.revisions),
        tuple(
            (table, _of_property) for table in (kpi.facts, kpi.cases, kpi.items, kpi.standings, kpi.revisions)
        ),
    ),
    ServiceTables(
        "dispatch",
        dispatch.metadata,
        dispatch.messaging_tables,
        (
            dispatch.workflow_versions,
            dispatch.cases,
            dispatch.case_requests,
            dispatch.steps,
            dispatch.equipment,
            dispatch.equipment_states,
            dispatch.inspections,
            dispatch.withdrawals,
            dispatch.residents,
        ),
        (
            (dispatch.steps, _of_case),
            *(
                (table, _of_property)
                for table in (
                    dispatch.equipment,
                    dispatch.equipment_states,
                    dispatch.inspections,
                    dispatch.withdrawals,
                    dispatch.residents,
                    dispatch.case_requests,
                    dispatch.cases,
                )
            ),
        ),
    ),
)
"""In the order of removal; copied the other way round: by what dispatch has, others' rows are recognised."""


@asynccontextmanager
async def open_database(tables: ServiceTables, settings: Settings) -> AsyncIterator[Database]:
    """The service's database under `settings`, migrated; closed afterwards."""
    database = Database(tables.name, settings.database_url, settings.data_dir)
    try:
        await upgrade(database, tables.metadata)
        yield database
    finally:
        await database.dispose()
