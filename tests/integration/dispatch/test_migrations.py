"""dispatch's tables of an earlier version are brought to those of now, and back, with what they hold."""

from typing import Any

from sqlalchemy import text

from services.dispatch.models import metadata
from shared.database.migrations import compare_tables
from tests.integration.dispatch.conftest import DispatchDriver
from tests.support.migrations import migrate_to

KEPT = ("id", "number", "state", "assignee", "version", "summary", "reference", "history", "reworks")


async def test_cases_steps_and_keys_go_back_and_forth(dispatch: DispatchDriver) -> None:
    rated = await dispatch.deliver_demand(reference="A-17")
    keyed = dispatch.headers_for("admin") | {"Idempotency-Key": "k"}
    await dispatch.take_action(rated, "note", keyed, data={"text": "seen"})
    await dispatch.complete_repair(rated)
    await dispatch.deliver_follow_up(rated, rating=1)
    waiting = await dispatch.deliver_demand("complaint", line="cleaning")
    before = await read_cases(dispatch)

    history = await migrate(dispatch, "dispatch_0001", "SELECT * FROM {}case_history ORDER BY case_id, seq")
    assert len(history) == sum(len(case["history"]) for case in before)
    timers = await migrate(dispatch, "dispatch_0001", "SELECT DISTINCT case_id FROM {}timers")
    assert waiting in {row["case_id"] for row in timers}
    said = await migrate(dispatch, "dispatch_0001", "SELECT number FROM {}cases WHERE reference = 'A-17'")
    assert [row["number"] for row in said] == [before[-1]["number"]]

    key = "INSERT INTO {}action_keys VALUES ('caller', 'old', 'd', 2, {}, '2026-11-25 00:00:00')"
    await insert_key(dispatch, key, f'{{"id":"{rated}","version":2}}')
    kept = await migrate(dispatch, "heads", "SELECT case_id, seq, digest FROM {}steps WHERE key = 'old'")
    assert [tuple(row.values()) for row in kept] == [(rated, 2, "d")]
    assert await read_cases(dispatch) == before
    async with dispatch.service.database.transaction() as connection:
        assert await connection.run_sync(compare_tables, "dispatch", metadata) == []
    assert (await dispatch.take_action(waiting, "note", data={"text": "on"}))["version"] == 1 + next(
        case["version"] for case in before if case["id"] == waiting
    )


async def read_cases(dispatch: DispatchDriver) -> list[dict[str, Any]]:
    cases = [await dispatch.get_case(case["id"]) for case in await dispatch.list_cases()]
    return [{name: case[name] for name in KEPT} for case in cases]


async def insert_key(dispatch: DispatchDriver, statement: str, answer: str) -> None:
    on_postgres = dispatch.service.database.is_postgres
    value = f"convert_to('{answer}', 'UTF8')" if on_postgres else f"CAST('{answer}' AS BLOB)"
    async with dispatch.service.database.transaction() as connection:
        text_ = statement.replace("{}", "dispatch." if on_postgres else "", 1).replace("{}", value, 1)
        await connection.exec_driver_sql(text_)


async def migrate(dispatch: DispatchDriver, to: str, query: str) -> list[dict[str, Any]]:
    """Migrate up or down; what `query` finds then."""
    database = dispatch.service.database
    await migrate_to(database, metadata, to)
    async with database.transaction() as connection:
        rows = await connection.execute(text(query.format("dispatch." if database.is_postgres else "")))
        return [dict(row) for row in rows.mappings()]
