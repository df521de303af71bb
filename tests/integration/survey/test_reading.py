"""Who sees which follow-ups, and how lists go on."""

from datetime import timedelta

import pytest

from tests.integration.survey.conftest import SurveyDriver, make_case


async def test_a_foreign_follow_up_answers_as_an_unknown_one(survey: SurveyDriver) -> None:
    followup = await survey.create_followup()
    foreign = survey.headers("quality", "dispatcher", properties=["annex"], person="zhao")
    for path in (followup["id"], "0" * 36, "x", "%00"):
        assert (await survey.http.get(f"/v1/followups/{path}", headers=foreign)).status_code == 404
        assert (await survey.post_attempt(path, foreign, outcome="declined")).status_code == 404
    assert (await survey.http.get("/v1/followups", headers=foreign)).json()["items"] == []
    reply = await survey.http.get("/v1/followups", params={"property": "tower"}, headers=foreign)
    assert reply.status_code == 403


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
async def test_each_role_does_what_is_its_own(
    survey: SurveyDriver, role: str, reads: int, attempts: int
) -> None:
    followup = await survey.create_followup()
    key = survey.headers(role, person="li")
    assert (await survey.http.get("/v1/followups", headers=key)).status_code == reads
    assert (await survey.http.get(f"/v1/followups/{followup['id']}", headers=key)).status_code == reads
    assert (await survey.post_attempt(followup["id"], key, outcome="no_answer")).status_code == attempts


async def test_without_a_key_there_is_nothing(survey: SurveyDriver) -> None:
    assert (await survey.http.get("/v1/followups")).status_code == 401


async def test_only_those_who_send_it_get_the_link(survey: SurveyDriver) -> None:
    followup = await survey.create_followup()
    for role, has in (("dispatcher", True), ("quality", True), ("admin", True), ("manager", False)):
        reply = await survey.http.get(f"/v1/followups/{followup['id']}", headers=survey.headers(role))
        assert bool(reply.json()["link"]) is has
    listed = await survey.http.get("/v1/followups", headers=survey.headers("admin"))
    assert "link" not in listed.json()["items"][0]


async def test_words_are_for_those_who_need_them(survey: SurveyDriver) -> None:
    followup = await survey.create_followup()
    await survey.post_attempt(followup["id"], outcome="answered", answer={"rating": 4, "comment": "门口有水"})
    for role, seen in (("manager", "门口有水"), ("engineer", None)):
        reply = await survey.http.get(
            f"/v1/followups/{followup['id']}", headers=survey.headers(role, person="li")
        )
        assert reply.json()["attempts"][0]["answer"]["comment"] == seen


async def test_a_list_goes_on_where_it_stopped(survey: SurveyDriver) -> None:
    cases = [make_case() for _ in range(7)]
    await survey.deliver_cases(*cases)
    seen: list[str] = []
    params: dict[str, str | int] = {"limit": 3, "property": "tower", "state": "due"}
    while True:
        page = (
            await survey.http.get("/v1/followups", params=params, headers=survey.headers("manager"))
        ).json()
        seen += [item["case"] for item in page["items"]]
        if page["next"] is None:
            break
        params["cursor"] = page["next"]
    assert sorted(seen) == sorted(one.case for one in cases)
    assert len(seen) == 7


async def test_filters_narrow_a_list(survey: SurveyDriver) -> None:
    followup, other = await survey.create_followup(), await survey.create_followup(property="annex")
    await survey.post_attempt(followup["id"], outcome="declined")
    everywhere = survey.headers("quality", properties=None)

    async def find_ids(**params: str) -> list[str]:
        answer = await survey.http.get("/v1/followups", params=params, headers=everywhere)
        assert answer.status_code == 200, answer.text
        return sorted(item["id"] for item in answer.json()["items"])

    both = sorted([followup["id"], other["id"]])
    assert await find_ids() == both
    assert await find_ids(state="done") == [followup["id"]]
    assert await find_ids(property="annex") == [other["id"]]
    assert await find_ids(case=other["case"]) == [other["id"]]
    assert await find_ids(due_before="2026-11-24T11:00:00+08:00") == []
    assert await find_ids(due_before="2026-11-24T11:00:01+08:00") == both
    assert await find_ids(due_before="2026-11-24T03:00:01Z") == both


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "cursor=x", "due_before=soon", "state=lost", "colour=red"]
)
async def test_a_wrong_query_is_refused_by_its_name(survey: SurveyDriver, query: str) -> None:
    answer = await survey.http.get(f"/v1/followups?{query}", headers=survey.headers("manager"))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"] == query.split("=")[0]


async def test_a_link_still_opens_after_the_secret_has_changed(survey: SurveyDriver) -> None:
    followup = await survey.create_followup()
    survey.service.secret._roots.insert(0, "another")
    detail = (
        await survey.http.get(f"/v1/followups/{followup['id']}", headers=survey.headers("quality"))
    ).json()
    assert detail["link"] != followup["link"]
    for link in (detail["link"], followup["link"]):
        assert (await survey.http.get(link)).status_code == 200


async def test_a_form_opens_until_it_expires(survey: SurveyDriver) -> None:
    followup = await survey.create_followup()
    survey.clock.advance(timedelta(days=29))
    assert (await survey.http.get(followup["link"])).status_code == 200
    survey.clock.advance(timedelta(days=1))
    assert (await survey.http.get(followup["link"])).status_code == 404
