"""Every case that is owed a follow-up gets one, whatever the order and however often it is told."""

import asyncio
import random
from datetime import timedelta

import pytest
from sqlalchemy import inspect

from shared.database.migrations import difference, upgrade
from shared.messages.cloudevents import Event
from tests.integration.survey.conftest import NOW, SurveyDesk, case


async def test_a_finished_case_is_owed_a_follow_up_and_others_hear_of_it_at_once(desk: SurveyDesk) -> None:
    followup = await desk.planned()
    (due,) = await desk.spoken("guanjia.followup.due.v1")
    assert (followup["state"], followup["attempts"], followup["line"]) == ("due", [], "maintenance")
    assert (due.data.followup, due.data.case) == (followup["id"], followup["case"])
    assert due.time == due.data.since
    assert due.data.due_at.isoformat() == followup["due_at"].replace("Z", "+00:00")


async def test_a_case_that_is_owed_none_gets_none(desk: SurveyDesk) -> None:
    await desk.tell(case(planned=False))
    listed = await desk.http.get("/v1/followups", headers=desk.key("quality"))
    assert listed.json() == {"items": [], "next": None}


async def test_order_and_repetition_change_nothing(desk: SurveyDesk) -> None:
    first = case(version=8)
    told = [first, case(first.case, version=9, state="closed"), case(first.case, version=7, planned=False)]
    events = [Event.of(one, source="guanjia/dispatch", time=NOW) for one in told] * 3
    random.Random(7).shuffle(events)
    for event in events:
        await desk.deliver(event)
    assert (await desk.followup(first.case))["state"] == "due"
    assert len(await desk.spoken("guanjia.followup.due.v1")) == 1


async def test_the_highest_version_tells_the_plan(desk: SurveyDesk) -> None:
    newer = case(version=9)
    assert newer.follow_up is not None
    older = case(newer.case, version=8, language="en")
    await desk.tell(newer)
    await desk.tell(older)
    followup = await desk.followup(newer.case)
    refused = await desk.attempt(followup["id"], desk.key("engineer", person="wang"), outcome="no_answer")
    assert refused.status_code == 403
    assert len(await desk.spoken("guanjia.followup.due.v1")) == 1


async def test_a_hundred_cases_in_one_set_are_a_hundred_follow_ups(desk: SurveyDesk) -> None:
    await desk.tell(*(case() for _ in range(100)))
    assert len(await desk.spoken("guanjia.followup.due.v1")) == 100


async def test_copies_that_hear_of_the_same_cases_at_once_plan_them_once(
    desk: SurveyDesk, other_desk: SurveyDesk
) -> None:
    cases = [case(version=8) for _ in range(30)]
    closed = [case(one.case, version=9, state="closed") for one in reversed(cases)]
    await asyncio.gather(desk.tell(*cases), other_desk.tell(*closed), desk.tell(*closed))
    ids = {(await desk.followup(one.case))["id"] for one in cases}
    told = {event.data.followup for event in await desk.spoken("guanjia.followup.due.v1")}
    assert told == ids
    assert len(ids) == 30


async def test_migrations_equal_the_models(desk: SurveyDesk) -> None:
    await upgrade(desk.service.database, desk.service.metadata)
    async with desk.service.database.transaction() as connection:
        assert await connection.run_sync(difference, "survey", desk.service.metadata) == []
        schema = "survey" if desk.service.database.is_postgres else None
        tables = await connection.run_sync(lambda sync: inspect(sync).get_table_names(schema=schema))
    assert {"followups", "attempts", "form_links", "outbox", "inbox"} <= set(tables)


@pytest.mark.parametrize("done", [False, True])
async def test_the_gauges_count_what_is_to_be_done_and_what_is_late(desk: SurveyDesk, done: bool) -> None:
    followup = await desk.planned()
    if done:
        await desk.attempt(followup["id"], outcome="declined")
    desk.clock.advance(timedelta(days=2))
    await desk.service.scrape()
    labels = {"property": "tower", "kind": "repair"}
    expected = None if done else 1.0
    assert desk.service.registry.get_sample_value("guanjia_followups_open", labels) == expected
    assert desk.service.registry.get_sample_value("guanjia_followups_overdue", labels) == expected
