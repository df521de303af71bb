"""Attempts are recorded once, by the right people, in time, and publish what came of them."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from shared.messages.cloudevents import Event
from tests.integration.survey.conftest import NOW, SurveyDriver

ANSWER = {"rating": 5, "expected": 3, "perceived": 5, "surprised": True, "comment": "王师傅很细心"}


async def done_events(survey: SurveyDriver) -> list[Event]:
    return await survey.outbox_events("guanjia.followup.done.v1")


async def test_an_answer_is_stored_completely_and_published_without_the_words(survey: SurveyDriver) -> None:
    followup = await survey.create_followup()
    answer = await survey.post_attempt(followup["id"], outcome="answered", answer=ANSWER)
    assert answer.status_code == 200, answer.text
    detail = answer.json()
    assert (detail["state"], detail["outcome"], detail["attempts"][0]["actor"]) == (
        "done",
        "answered",
        "zhao",
    )
    assert detail["attempts"][0]["answer"] == ANSWER | {"gap": 2, "reason": None}
    (event,) = await done_events(survey)
    assert (event.data.outcome, event.data.version, event.data.by) == ("answered", 1, "zhao")
    assert (event.time, event.data.done_at, event.data.answered_at) == (NOW, NOW, NOW)
    assert (event.data.answer.rating, event.data.answer.surprised) == (5, True)
    assert "细心" not in str(event)


async def test_a_correction_is_a_new_version_and_the_first_time_stays(survey: SurveyDriver) -> None:
    followup = await survey.create_followup()
    await survey.post_attempt(followup["id"], outcome="answered", answer={"rating": 1, "reason": "service"})
    survey.clock.advance(timedelta(hours=1))
    await survey.post_attempt(followup["id"], outcome="answered", answer={"rating": 4})
    first, second = await done_events(survey)
    assert (first.data.version, second.data.version) == (1, 2)
    assert second.data.done_at == NOW
    assert second.data.answered_at == NOW + timedelta(hours=1)


async def test_three_calls_on_two_days_end_it_as_unreachable(survey: SurveyDriver) -> None:
    followup = await survey.create_followup()
    for wait in (1, 1, 22):
        assert await done_events(survey) == []
        survey.clock.advance(timedelta(hours=wait))
        answer = await survey.post_attempt(followup["id"], outcome="no_answer")
    assert (answer.json()["state"], answer.json()["outcome"]) == ("done", "unreachable")
    (event,) = await done_events(survey)
    assert (event.data.outcome, event.data.answer, event.data.answered_at) == ("unreachable", None, None)


async def test_the_same_request_again_gets_the_same_answer_and_has_no_second_effect(
    survey: SurveyDriver,
) -> None:
    followup = await survey.create_followup()
    headers = survey.headers("quality", person="zhao") | {"Idempotency-Key": "call-1"}
    first = await survey.post_attempt(followup["id"], headers, outcome="no_answer")
    await survey.post_attempt(followup["id"], outcome="declined")
    again = await survey.post_attempt(followup["id"], headers, outcome="no_answer")
    assert (again.status_code, again.json()) == (200, first.json())
    assert len((await survey.get_followup(followup["case"]))["attempts"]) == 2


async def test_an_idempotency_key_belongs_to_its_caller_and_its_request(survey: SurveyDriver) -> None:
    followup, other = await survey.create_followup(), await survey.create_followup()
    headers = survey.headers("quality", person="zhao") | {"Idempotency-Key": "call-1"}
    await survey.post_attempt(followup["id"], headers, outcome="no_answer")
    assert (await survey.post_attempt(followup["id"], headers, outcome="declined")).status_code == 409
    assert (await survey.post_attempt(other["id"], headers, outcome="no_answer")).status_code == 409
    somebody = survey.headers("quality", person="li") | {"Idempotency-Key": "call-1"}
    assert (await survey.post_attempt(followup["id"], somebody, outcome="no_answer")).status_code == 200
    assert len((await survey.get_followup(followup["case"]))["attempts"]) == 2


async def test_a_batch_of_concurrent_attempts_is_recorded_one_after_the_other(survey: SurveyDriver) -> None:
    followup, other = await survey.create_followup(), await survey.create_followup()
    headers = survey.headers("quality", person="zhao") | {"Idempotency-Key": "twin"}
    requests: list[Any] = [
        survey.post_attempt(followup["id"], headers, outcome="no_answer") for _ in range(5)
    ]
    requests += [survey.post_attempt(other["id"], outcome="answered", answer={"rating": 4}) for _ in range(3)]
    requests += [
        survey.post_attempt(other["id"], outcome="answered"),
        survey.post_attempt("0" * 36, outcome="declined"),
    ]
    codes = [answer.status_code for answer in await asyncio.gather(*requests)]
    assert codes == [200] * 8 + [422, 404]
    assert len((await survey.get_followup(followup["case"]))["attempts"]) == 1
    assert [event.data.version for event in await done_events(survey)] == [1, 2, 3]


async def test_the_engineer_who_did_the_work_is_refused_and_another_is_not(survey: SurveyDriver) -> None:
    followup = await survey.create_followup()
    worker, other = survey.headers("engineer", person="wang"), survey.headers("engineer", person="li")
    refused = await survey.post_attempt(followup["id"], worker, outcome="declined")
    assert (refused.status_code, refused.json()["type"]) == (403, "urn:guanjia:problem:own-work")
    assert (
        await survey.post_attempt(followup["id"], survey.headers("engineer"), outcome="declined")
    ).status_code == 403
    accepted = await survey.post_attempt(followup["id"], other, outcome="answered", answer=ANSWER)
    assert (accepted.status_code, accepted.json()["attempts"][0]["answer"]["comment"]) == (200, None)
    assert accepted.json()["link"] is None


async def test_a_dispatcher_may_act_for_somebody_and_both_are_recorded(survey: SurveyDriver) -> None:
    followup = await survey.create_followup()
    dispatcher = survey.headers("dispatcher", person="zhao")
    assert (
        await survey.post_attempt(followup["id"], dispatcher, outcome="no_answer", actor="wang")
    ).status_code == 403
    assert (
        await survey.post_attempt(followup["id"], dispatcher, outcome="no_answer", actor="nobody")
    ).status_code == 422
    quality = survey.headers("quality", person="zhao")
    assert (
        await survey.post_attempt(followup["id"], quality, outcome="no_answer", actor="li")
    ).status_code == 403
    detail = (await survey.post_attempt(followup["id"], dispatcher, outcome="no_answer", actor="li")).json()
    assert (detail["attempts"][0]["actor"], detail["attempts"][0]["recorded_by"]) == ("li", "zhao")


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"outcome": "answered"}, "answer"),
        ({"outcome": "declined", "answer": {"rating": 3}}, "answer"),
        ({"outcome": "answered", "answer": {"rating": 6}}, "answer.rating"),
        ({"outcome": "answered", "answer": {"rating": 5, "reason": "price"}}, "answer.reason"),
        ({"outcome": "answered", "answer": {"rating": 5, "mood": "good"}}, "answer.mood"),
        ({"outcome": "no_answer", "at": "2026-11-23T02:59:59Z"}, "at"),
        ({"outcome": "no_answer", "at": "2026-11-23T04:00:01Z"}, "at"),
        ({"outcome": "no_answer", "at": "2026-11-23T04:00:01"}, "at"),
        ({"outcome": "vanished"}, "outcome"),
        ({"outcome": "no_answer", "channel": ""}, "channel"),
    ],
)
async def test_a_wrong_field_is_named(survey: SurveyDriver, body: dict[str, Any], path: str) -> None:
    followup = await survey.create_followup()
    answer = await survey.post_attempt(followup["id"], **body)
    assert answer.status_code == 422
    assert [error["path"] for error in answer.json()["errors"]] == [path]
    assert await done_events(survey) == []


async def test_a_phone_that_was_offline_reports_when_it_happened(survey: SurveyDriver) -> None:
    followup = await survey.create_followup()
    at = "2026-11-23T11:30:00+08:00"
    detail = (await survey.post_attempt(followup["id"], outcome="declined", at=at)).json()
    assert (detail["attempts"][0]["at"], detail["done_at"]) == (
        "2026-11-23T03:30:00Z",
        "2026-11-23T03:30:00Z",
    )
    assert detail["attempts"][0]["recorded_at"] == "2026-11-23T04:00:00Z"


async def test_what_is_done_stays_done(survey: SurveyDriver) -> None:
    followup = await survey.create_followup()
    await survey.post_attempt(followup["id"], outcome="declined")
    assert (await survey.post_attempt(followup["id"], outcome="no_answer")).status_code == 409
    late = await survey.post_attempt(followup["id"], outcome="answered", answer={"rating": 4})
    assert late.json()["outcome"] == "answered"


async def test_copies_carry_out_a_request_once(survey: SurveyDriver, second_copy: SurveyDriver) -> None:
    followup, other = await survey.create_followup(), await survey.create_followup()
    keys = survey.headers("quality", person="zhao")
    same = [
        copy.post_attempt(followup["id"], keys | {"Idempotency-Key": f"call-{number}"}, outcome="no_answer")
        for number in range(5)
        for copy in (survey, second_copy)
    ]
    assert {answer.status_code for answer in await asyncio.gather(*same)} == {200}
    assert len((await survey.get_followup(followup["case"]))["attempts"]) == 5
    clash = keys | {"Idempotency-Key": "one-key"}
    answers = await asyncio.gather(
        survey.post_attempt(followup["id"], clash, outcome="no_answer"),
        second_copy.post_attempt(other["id"], clash, outcome="no_answer"),
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409]
