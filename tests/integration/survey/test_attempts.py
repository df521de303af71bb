"""Attempts are recorded once, by the right people, in time, and tell others what came of them."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from shared.messages.cloudevents import Event
from tests.integration.survey.conftest import NOW, SurveyDesk

ANSWER = {"rating": 5, "expected": 3, "perceived": 5, "surprised": True, "comment": "王师傅很细心"}


async def done(desk: SurveyDesk) -> list[Event]:
    return await desk.spoken("guanjia.followup.done.v1")


async def test_an_answer_is_kept_whole_and_told_without_the_words(desk: SurveyDesk) -> None:
    followup = await desk.planned()
    answer = await desk.attempt(followup["id"], outcome="answered", answer=ANSWER)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["state"], told["outcome"], told["attempts"][0]["actor"]) == ("done", "answered", "zhao")
    assert told["attempts"][0]["answer"] == ANSWER | {"gap": 2, "reason": None}
    (event,) = await done(desk)
    assert (event.data.outcome, event.data.version, event.data.by) == ("answered", 1, "zhao")
    assert (event.time, event.data.done_at, event.data.answered_at) == (NOW, NOW, NOW)
    assert (event.data.answer.rating, event.data.answer.surprised) == (5, True)
    assert "细心" not in str(event)


async def test_a_correction_is_a_new_version_and_the_first_time_stays(desk: SurveyDesk) -> None:
    followup = await desk.planned()
    await desk.attempt(followup["id"], outcome="answered", answer={"rating": 1, "reason": "service"})
    desk.clock.advance(timedelta(hours=1))
    await desk.attempt(followup["id"], outcome="answered", answer={"rating": 4})
    first, second = await done(desk)
    assert (first.data.version, second.data.version) == (1, 2)
    assert second.data.done_at == NOW
    assert second.data.answered_at == NOW + timedelta(hours=1)


async def test_three_calls_on_two_days_end_it_as_unreachable(desk: SurveyDesk) -> None:
    followup = await desk.planned()
    for wait in (1, 1, 22):
        assert await done(desk) == []
        desk.clock.advance(timedelta(hours=wait))
        answer = await desk.attempt(followup["id"], outcome="no_answer")
    assert (answer.json()["state"], answer.json()["outcome"]) == ("done", "unreachable")
    (event,) = await done(desk)
    assert (event.data.outcome, event.data.answer, event.data.answered_at) == ("unreachable", None, None)


async def test_the_same_request_again_gets_the_same_answer_and_has_no_second_effect(desk: SurveyDesk) -> None:
    followup = await desk.planned()
    headers = desk.key("quality", person="zhao") | {"Idempotency-Key": "call-1"}
    first = await desk.attempt(followup["id"], headers, outcome="no_answer")
    await desk.attempt(followup["id"], outcome="declined")
    again = await desk.attempt(followup["id"], headers, outcome="no_answer")
    assert (again.status_code, again.json()) == (200, first.json())
    assert len((await desk.followup(followup["case"]))["attempts"]) == 2


async def test_an_idempotency_key_belongs_to_its_caller_and_its_request(desk: SurveyDesk) -> None:
    followup, other = await desk.planned(), await desk.planned()
    headers = desk.key("quality", person="zhao") | {"Idempotency-Key": "call-1"}
    await desk.attempt(followup["id"], headers, outcome="no_answer")
    assert (await desk.attempt(followup["id"], headers, outcome="declined")).status_code == 409
    assert (await desk.attempt(other["id"], headers, outcome="no_answer")).status_code == 409
    somebody = desk.key("quality", person="li") | {"Idempotency-Key": "call-1"}
    assert (await desk.attempt(followup["id"], somebody, outcome="no_answer")).status_code == 200
    assert len((await desk.followup(followup["case"]))["attempts"]) == 2


async def test_a_set_of_concurrent_attempts_is_recorded_one_after_the_other(desk: SurveyDesk) -> None:
    followup, other = await desk.planned(), await desk.planned()
    headers = desk.key("quality", person="zhao") | {"Idempotency-Key": "twin"}
    asked: list[Any] = [desk.attempt(followup["id"], headers, outcome="no_answer") for _ in range(5)]
    asked += [desk.attempt(other["id"], outcome="answered", answer={"rating": 4}) for _ in range(3)]
    asked += [desk.attempt(other["id"], outcome="answered"), desk.attempt("0" * 36, outcome="declined")]
    codes = [answer.status_code for answer in await asyncio.gather(*asked)]
    assert codes == [200] * 8 + [422, 404]
    assert len((await desk.followup(followup["case"]))["attempts"]) == 1
    assert [event.data.version for event in await done(desk)] == [1, 2, 3]


async def test_the_engineer_who_did_the_work_is_refused_and_another_is_not(desk: SurveyDesk) -> None:
    followup = await desk.planned()
    worker, other = desk.key("engineer", person="wang"), desk.key("engineer", person="li")
    refused = await desk.attempt(followup["id"], worker, outcome="declined")
    assert (refused.status_code, refused.json()["type"]) == (403, "urn:guanjia:problem:own-work")
    assert (await desk.attempt(followup["id"], desk.key("engineer"), outcome="declined")).status_code == 403
    taken = await desk.attempt(followup["id"], other, outcome="answered", answer=ANSWER)
    assert (taken.status_code, taken.json()["attempts"][0]["answer"]["comment"]) == (200, None)
    assert taken.json()["link"] is None


async def test_a_dispatcher_may_act_for_somebody_and_both_are_recorded(desk: SurveyDesk) -> None:
    followup = await desk.planned()
    dispatcher = desk.key("dispatcher", person="zhao")
    assert (
        await desk.attempt(followup["id"], dispatcher, outcome="no_answer", actor="wang")
    ).status_code == 403
    assert (
        await desk.attempt(followup["id"], dispatcher, outcome="no_answer", actor="nobody")
    ).status_code == 422
    quality = desk.key("quality", person="zhao")
    assert (await desk.attempt(followup["id"], quality, outcome="no_answer", actor="li")).status_code == 403
    told = (await desk.attempt(followup["id"], dispatcher, outcome="no_answer", actor="li")).json()
    assert (told["attempts"][0]["actor"], told["attempts"][0]["recorded_by"]) == ("li", "zhao")


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
async def test_a_wrong_field_is_named(desk: SurveyDesk, body: dict[str, Any], path: str) -> None:
    followup = await desk.planned()
    answer = await desk.attempt(followup["id"], **body)
    assert answer.status_code == 422
    assert [error["path"] for error in answer.json()["errors"]] == [path]
    assert await done(desk) == []


async def test_a_phone_that_was_offline_tells_when_it_happened(desk: SurveyDesk) -> None:
    followup = await desk.planned()
    at = "2026-11-23T11:30:00+08:00"
    told = (await desk.attempt(followup["id"], outcome="declined", at=at)).json()
    assert (told["attempts"][0]["at"], told["done_at"]) == ("2026-11-23T03:30:00Z", "2026-11-23T03:30:00Z")
    assert told["attempts"][0]["recorded_at"] == "2026-11-23T04:00:00Z"


async def test_what_is_done_stays_done(desk: SurveyDesk) -> None:
    followup = await desk.planned()
    await desk.attempt(followup["id"], outcome="declined")
    assert (await desk.attempt(followup["id"], outcome="no_answer")).status_code == 409
    late = await desk.attempt(followup["id"], outcome="answered", answer={"rating": 4})
    assert late.json()["outcome"] == "answered"


async def test_copies_carry_out_a_request_once(desk: SurveyDesk, other_desk: SurveyDesk) -> None:
    followup, other = await desk.planned(), await desk.planned()
    keys = desk.key("quality", person="zhao")
    same = [copy.attempt(followup["id"], keys | {"Idempotency-Key": f"call-{number}"}, outcome="no_answer")
            for number in range(5) for copy in (desk, other_desk)]  # fmt: skip
    assert {answer.status_code for answer in await asyncio.gather(*same)} == {200}
    assert len((await desk.followup(followup["case"]))["attempts"]) == 5
    clash = keys | {"Idempotency-Key": "one-key"}
    answers = await asyncio.gather(
        desk.attempt(followup["id"], clash, outcome="no_answer"),
        other_desk.attempt(other["id"], clash, outcome="no_answer"),
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409]
