"""intake's tables of an earlier version are brought to those of now, and back, with what they hold."""

from typing import Any

from alembic import command
from sqlalchemy import Connection, text

from services.intake.models import metadata
from shared.database.migrations import compare_tables, make_config
from shared.messages.cloudevents import Event
from tests.contract.samples import case
from tests.integration.intake.conftest import IntakeDriver, make_event, make_fee


async def test_demands_go_into_the_rows_of_their_events_and_come_out_again(intake: IntakeDriver) -> None:
    opened, waiting, _ = await intake.post_batch(make_event("e-1"), make_event("e-2"), make_fee())
    state = Event.of(case(opened["demand"]), source="dispatch", time=intake.clock.now())
    await intake.driver.deliver("intake.cases", state)
    before = await intake.driver.state()

    rows = await migrate(intake, to="intake_0001")
    assert [(row["event"], row["opened_at"] is None) for row in rows] == [("e-1", False), ("e-2", True)]
    assert [str(row["id"]).replace("-", "") for row in rows] == [
        fate["demand"].replace("-", "") for fate in (opened, waiting)
    ]
    assert {(row["property"], row["kind"], row["reference"]) for row in rows} == {("tower", "repair", "A-17")}

    assert await migrate(intake, to="heads") == []
    assert await intake.driver.state() == before
    async with intake.service.database.transaction() as connection:
        assert await connection.run_sync(compare_tables, "intake", metadata) == []


async def migrate(intake: IntakeDriver, to: str) -> list[dict[str, Any]]:
    """Migrate up or down; what the demands' own table holds where there is one."""
    database = intake.service.database
    async with database.transaction() as connection:
        await connection.run_sync(_migrate, to)
        if to == "heads":
            return []
        table = "intake.demands" if database.is_postgres else "demands"
        rows = await connection.execute(text(f"SELECT * FROM {table} ORDER BY event"))
        return [dict(row) for row in rows.mappings()]


def _migrate(connection: Connection, to: str) -> None:
    config = make_config("intake", metadata, connection)
    if to == "heads":
        command.upgrade(config, to)
    else:
        command.downgrade(config, to)
