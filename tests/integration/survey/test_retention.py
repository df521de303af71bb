"""What survey deletes in time, and that its tables come from an earlier version and go back."""

from datetime import timedelta
from typing import Any

from alembic import command
from sqlalchemy import Connection, select

from services.survey.models import attempts, followups, form_links, metadata
from services.survey.operations.retention import KEY_KEEP
from shared.database.migrations import compare_tables, make_config
from tests.integration.survey.conftest import SurveyDriver

MOMENT = timedelta(seconds=1)


async def read_rows(survey: SurveyDriver, table: Any) -> list[dict[str, Any]]:
    async with survey.service.database.snapshot() as connection:
        return [dict(row) for row in (await connection.execute(select(table))).mappings()]


async def age(survey: SurveyDriver, by: timedelta) -> None:
    """Time goes by and what is expired is deleted."""
    survey.clock.advance(by)
    await survey.service.housekeeping.delete_expired()


async def test_an_expired_forms_link_is_deleted_and_the_follow_up_stays(survey: SurveyDriver) -> None:
    followup = await survey.create_followup()
    (link,) = await read_rows(survey, form_links)
    (row,) = await read_rows(survey, followups)
    assert link["expires_at"] == row["form_expires_at"]
    await age(survey, link["expires_at"] - survey.clock.now())
    assert await read_rows(survey, form_links) == [link]
    await age(survey, MOMENT)
    assert await read_rows(survey, form_links) == []
    assert (await survey.get_followup(followup["case"]))["id"] == followup["id"]


async def test_a_key_is_forgotten_after_a_week_and_its_attempt_stays(survey: SurveyDriver) -> None:
    followup = await survey.create_followup()
    headers = survey.headers("quality", person="zhao") | {"Idempotency-Key": "call-1"}
    first = await survey.post_attempt(followup["id"], headers, outcome="no_answer")
    assert first.status_code == 200, first.text
    await age(survey, KEY_KEEP)
    await survey.post_attempt(followup["id"], headers, outcome="no_answer")
    assert len(await read_rows(survey, attempts)) == 1
    await age(survey, MOMENT)
    (row,) = await read_rows(survey, attempts)
    assert (row["outcome"], row["caller"], row["idempotency_key"], row["body_hash"]) == (
        "no_answer", None, None, None,
    )  # fmt: skip


async def test_links_learn_when_they_expire_and_forget_it_again(survey: SurveyDriver) -> None:
    followup = await survey.create_followup()
    headers = survey.headers("quality", person="zhao") | {"Idempotency-Key": "call-1"}
    await survey.post_attempt(followup["id"], headers, outcome="no_answer")
    before = [await read_rows(survey, table) for table in (followups, attempts, form_links)]
    async with survey.service.database.transaction() as connection:
        await connection.run_sync(migrate_down_and_up)
        assert await connection.run_sync(compare_tables, "survey", metadata) == []
    assert [await read_rows(survey, table) for table in (followups, attempts, form_links)] == before


def migrate_down_and_up(connection: Connection) -> None:
    config = make_config("survey", metadata, connection)
    command.downgrade(config, "survey_0001")
    command.upgrade(config, "heads")
