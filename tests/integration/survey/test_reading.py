"""Who sees which follow-ups, and how lists go on."""

from datetime import timedelta

import pytest

from tests.integration.survey.conftest import SurveyDesk, case


async def test_a_foreign_follow_up_answers_as_an_unknown_one(desk: SurveyDesk) -> None:
    followup = await desk.planned()
    foreign = desk.key("quality", "dispatcher", properties=["annex"], person="zhao")
    for path in (followup["id"], "0" * 36, "x", "%00"):
        assert (await desk.http.get(f"/v1/followups/{path}", headers=foreign)).status_code == 404
        assert (await desk.attempt(path, foreign, outcome="declined")).status_code == 404
    assert (await desk.http.get("/v1/followups", headers=foreign)).json()["items"] == []
    asked = await desk.http.get("/v1/followups", params={"property": "tower"}, headers=foreign)
    assert asked.status_code == 403


@pytest.mark.parametrize(
    ("role", "reads", "attempts"),
    [
        ("dispatcher", 200, 200),
        ("quality", 200, 200),
        ("engineer", 200, 200),
        ("admin", 200, 200),
        ("manager", 200, 403),
        ("operations", 403, 403),
        ("source", 403, 403),
    ],
)
async def test_each_role_does_what_is_its_own(desk: SurveyDesk, role: str, reads: int, attempts: int) -> None:
    followup = await desk.planned()
    key = desk.key(role, person="li")
    assert (await desk.http.get("/v1/followups", headers=key)).status_code == reads
    assert (await desk.http.get(f"/v1/followups/{followup['id']}", headers=key)).status_code == reads
    assert (await desk.attempt(followup["id"], key, outcome="no_answer")).status_code == attempts


async def test_without_a_key_there_is_nothing(desk: SurveyDesk) -> None:
    assert (await desk.http.get("/v1/followups")).status_code == 401


async def test_only_those_who_send_it_get_the_link(desk: SurveyDesk) -> None:
    followup = await desk.planned()
    for role, has in (("dispatcher", True), ("quality", True), ("admin", True), ("manager", False)):
        told = await desk.http.get(f"/v1/followups/{followup['id']}", headers=desk.key(role))
        assert bool(told.json()["link"]) is has
    listed = await desk.http.get("/v1/followups", headers=desk.key("admin"))
    assert "link" not in listed.json()["items"][0]


async def test_words_are_for_those_who_need_them(desk: SurveyDesk) -> None:
    followup = await desk.planned()
    await desk.attempt(followup["id"], outcome="answered", answer={"rating": 4, "comment": "门口有水"})
    for role, seen in (("manager", "门口有水"), ("engineer", None)):
        told = await desk.http.get(f"/v1/followups/{followup['id']}", headers=desk.key(role, person="li"))
        assert told.json()["attempts"][0]["answer"]["comment"] == seen


async def test_a_list_goes_on_where_it_stopped(desk: SurveyDesk) -> None:
    cases = [case() for _ in range(7)]
    await desk.tell(*cases)
    seen: list[str] = []
    params: dict[str, str | int] = {"limit": 3, "property": "tower", "state": "due"}
    while True:
        page = (await desk.http.get("/v1/followups", params=params, headers=desk.key("manager"))).json()
        seen += [item["case"] for item in page["items"]]
        if page["next"] is None:
            break
        params["cursor"] = page["next"]
    assert sorted(seen) == sorted(one.case for one in cases)
    assert len(seen) == 7


async def test_filters_narrow_a_list(desk: SurveyDesk) -> None:
    followup, other = await desk.planned(), await desk.planned(property="annex")
    await desk.attempt(followup["id"], outcome="declined")
    everywhere = desk.key("quality", properties=None)

    async def found(**params: str) -> list[str]:
        answer = await desk.http.get("/v1/followups", params=params, headers=everywhere)
        assert answer.status_code == 200, answer.text
        return sorted(item["id"] for item in answer.json()["items"])

    both = sorted([followup["id"], other["id"]])
    assert await found() == both
    assert await found(state="done") == [followup["id"]]
    assert await found(property="annex") == [other["id"]]
    assert await found(case=other["case"]) == [other["id"]]
    assert await found(due_before="2026-11-24T11:00:00+08:00") == []
    assert await found(due_before="2026-11-24T11:00:01+08:00") == both
    assert await found(due_before="2026-11-24T03:00:01Z") == both


@pytest.mark.parametrize(
    "question", ["limit=0", "limit=201", "cursor=x", "due_before=soon", "state=lost", "colour=red"]
)
async def test_a_wrong_question_is_told(desk: SurveyDesk, question: str) -> None:
    answer = await desk.http.get(f"/v1/followups?{question}", headers=desk.key("manager"))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"] == question.split("=")[0]


async def test_a_link_still_opens_after_the_secret_has_changed(desk: SurveyDesk) -> None:
    followup = await desk.planned()
    desk.service.secret._roots.insert(0, "another")
    told = (await desk.http.get(f"/v1/followups/{followup['id']}", headers=desk.key("quality"))).json()
    assert told["link"] != followup["link"]
    for link in (told["link"], followup["link"]):
        assert (await desk.http.get(link)).status_code == 200


async def test_a_form_opens_until_it_expires(desk: SurveyDesk) -> None:
    followup = await desk.planned()
    desk.clock.advance(timedelta(days=29))
    assert (await desk.http.get(followup["link"])).status_code == 200
    desk.clock.advance(timedelta(days=1))
    assert (await desk.http.get(followup["link"])).status_code == 404
