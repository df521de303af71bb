"""Every case that is owed a follow-up gets one, whatever the order and however often it is delivered."""

import asyncio
import random
from datetime import timedelta

import pytest
from sqlalchemy import inspect

from shared.database.migrations import compare_tables, upgrade
from shared.messages.cloudevents import Event
from tests.integration.survey.conftest import NOW, SurveyDriver, make_case


async def test_a_finished_case_is_owed_a_follow_up_and_it_is_published_at_once(survey: SurveyDriver) -> None:
    followup = await survey.create_followup()
    (due,) = await survey.outbox_events("guanjia.followup.due.v1")
    assert (followup["state"], followup["attempts"], followup["line"]) == ("due", [], "maintenance")
    assert (due.data.followup, due.data.case) == (followup["id"], followup["case"])
    assert due.time == due.data.since
    assert due.data.due_at.isoformat() == followup["due_at"].replace("Z", "+00:00")


async def test_a_case_that_is_owed_none_gets_none(survey: SurveyDriver) -> None:
    await survey.deliver_cases(make_case(planned=False))
    listed = await survey.http.get("/v1/followups", headers=survey.headers("quality"))
    assert listed.json() == {"items": [], "next": None}


async def test_order_and_repetition_change_nothing(survey: SurveyDriver) -> None:
    first = make_case(version=8)
    cases = [
        first,
        make_case(first.case, version=9, state="closed"),
        make_case(first.case, version=7, planned=False),
    ]
    events = [Event.of(one, source="guanjia/dispatch", time=NOW) for one in cases] * 3
    random.Random(7).shuffle(events)
    for event in events:
        await survey.deliver(event)
    assert (await survey.get_followup(first.case))["state"] == "due"
    assert len(await survey.outbox_events("guanjia.followup.due.v1")) == 1


async def test_the_highest_version_has_the_plan(survey: SurveyDriver) -> None:
    newer = make_case(version=9)
    assert newer.follow_up is not None
    older = make_case(newer.case, version=8, language="en")
    await survey.deliver_cases(newer)
    await survey.deliver_cases(older)
    followup = await survey.get_followup(newer.case)
    refused = await survey.post_attempt(
        followup["id"], survey.headers("engineer", person="wang"), outcome="no_answer"
    )
    assert refused.status_code == 403
    assert len(await survey.outbox_events("guanjia.followup.due.v1")) == 1


async def test_a_hundred_cases_in_one_batch_are_a_hundred_follow_ups(survey: SurveyDriver) -> None:
    await survey.deliver_cases(*(make_case() for _ in range(100)))
    assert len(await survey.outbox_events("guanjia.followup.due.v1")) == 100


async def test_copies_that_receive_the_same_cases_at_once_plan_them_once(
    survey: SurveyDriver, second_copy: SurveyDriver
) -> None:
    cases = [make_case(version=8) for _ in range(30)]
    closed = [make_case(one.case, version=9, state="closed") for one in reversed(cases)]
    await asyncio.gather(
        survey.deliver_cases(*cases), second_copy.deliver_cases(*closed), survey.deliver_cases(*closed)
    )
    ids = {(await survey.get_followup(one.case))["id"] for one in cases}
    published = {event.data.followup for event in await survey.outbox_events("guanjia.followup.due.v1")}
    assert published == ids
    assert len(ids) == 30


async def test_migrations_equal_the_models(survey: SurveyDriver) -> None:
    await upgrade(survey.service.database, survey.service.metadata)
    async with survey.service.database.transaction() as connection:
        assert await connection.run_sync(compare_tables, "survey", survey.service.metadata) == []
        schema = "survey" if survey.service.database.is_postgres else None
        tables = await connection.run_sync(lambda sync: inspect(sync).get_table_names(schema=schema))
    assert {"followups", "attempts", "form_links", "outbox", "inbox"} <= set(tables)


@pytest.mark.parametrize("done", [False, True])
async def test_the_gauges_count_what_is_to_be_done_and_what_is_late(survey: SurveyDriver, done: bool) -> None:
    followup = await survey.create_followup()
    if done:
        await survey.post_attempt(followup["id"], outcome="declined")
    survey.clock.advance(timedelta(days=2))
    await survey.service.update_metrics()
    labels = {"property": "tower", "kind": "repair"}
    expected = None if done else 1.0
    assert survey.service.registry.get_sample_value("guanjia_followups_open", labels) == expected
    assert survey.service.registry.get_sample_value("guanjia_followups_overdue", labels) == expected
