"""intake's tables of an earlier version are brought to those of now, and back, with what they hold."""

from datetime import timedelta
from typing import Any

from sqlalchemy import text

from services.intake.jobs import republish_once
from services.intake.models import events, metadata
from services.intake.operations.retention import DATA_KEEP
from shared.database.migrations import compare_tables
from shared.messages.cloudevents import Event
from shared.messaging.outbox import LEASE
from tests.contract.samples import case
from tests.integration.intake.conftest import IntakeDriver, make_event, make_fee
from tests.support.migrations import migrate_to


async def test_demands_go_into_the_rows_of_their_events_and_come_out_again(intake: IntakeDriver) -> None:
    opened, waiting, _ = await intake.post_batch(make_event("e-1"), make_event("e-2"), make_fee())
    await intake.service.relay.drain()
    state = Event.of(case(opened["demand"]), source="dispatch", time=intake.clock.now())
    await intake.driver.deliver("intake.cases", state)
    before, rows_before = await intake.driver.state(), await read_events(intake)

    rows = await migrate(intake, to="intake_0001")
    assert [(row["event"], row["opened_at"] is None) for row in rows] == [("e-1", False), ("e-2", True)]
    assert [str(row["id"]).replace("-", "") for row in rows] == [
        fate["demand"].replace("-", "") for fate in (opened, waiting)
    ]
    assert {(row["property"], row["kind"], row["reference"]) for row in rows} == {("tower", "repair", "A-17")}

    assert await migrate(intake, to="heads") == []
    after = await intake.driver.state()
    assert after | {"events": before["events"]} == before
    told_anew = {"xid": None, "trace": None, "republish_at": None}
    rows = [row | told_anew for row in await read_events(intake)]
    assert rows == [row | told_anew for row in rows_before]
    await check_tables(intake)


async def test_what_is_unsent_moves_to_the_outbox_and_is_published_in_either_form(
    intake: IntakeDriver,
) -> None:
    await intake.post_batch(make_event("sent"), make_fee("sent"))
    await intake.service.relay.drain()
    await intake.post_batch(make_event("e-1"), make_fee("f-1"), make_fee("f-2"))
    (unsent,) = intake.service.outbox.waiting
    before, table = await read_events(intake), intake.service.messaging_tables.outbox
    await migrate(intake, to="intake_0002")
    assert {(row["xid"], row["body"]) for row in await intake.driver.rows(table)} == {
        (unsent.xid, event.body) for event in unsent.events
    }
    await migrate(intake, to="heads")
    await check_tables(intake)
    assert [row["data"] for row in await read_events(intake)] == [row["data"] for row in before]
    intake.service.outbox.waiting.clear()
    intake.clock.advance(LEASE)
    assert await intake.service.relay.send_unconfirmed() == 1
    assert await intake.service.relay.measure_backlog() == (0, 0.0)
    assert await republish_once(intake.service) == 2, "demands without a case, once more"


async def test_an_event_whose_data_is_erased_stays_known(intake: IntakeDriver) -> None:
    await intake.post_event(make_fee())
    await intake.service.relay.drain()
    intake.clock.advance(DATA_KEEP + timedelta(seconds=1))
    await intake.service.housekeeping.delete_expired()
    await migrate(intake, to="intake_0002")
    await migrate(intake, to="heads")
    assert (await intake.post_event(make_fee())).json()["status"] == "duplicate"


async def read_events(intake: IntakeDriver) -> list[dict[str, Any]]:
    """The rows, by their names."""
    return sorted(await intake.driver.rows(events), key=lambda row: (row["source"], row["id"]))


async def check_tables(intake: IntakeDriver) -> None:
    """The tables are those of the models."""
    async with intake.service.database.transaction() as connection:
        assert await connection.run_sync(compare_tables, "intake", metadata) == []


async def migrate(intake: IntakeDriver, to: str) -> list[dict[str, Any]]:
    """Migrate up or down; what the demands' own table holds where there is one."""
    database = intake.service.database
    await migrate_to(database, metadata, to)
    async with database.transaction() as connection:
        if to != "intake_0001":
            return []
        table = "intake.demands" if database.is_postgres else "demands"
        rows = await connection.execute(text(f"SELECT * FROM {table} ORDER BY event"))
        return [dict(row) for row in rows.mappings()]
