"""The resident's form: no sign-in, their language, corrected until it expires, nothing given away."""

from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from tests.integration.survey.conftest import SurveyDriver

FIELDS = {"rating": "2", "reason": "service", "expected": "4", "perceived": "2", "comment": "等了太久"}


async def test_the_form_speaks_the_residents_language_and_can_be_switched(survey: SurveyDriver) -> None:
    followup = await survey.create_followup(language="en-GB")
    english = await survey.http.get(followup["link"], headers={"Accept-Language": "zh-CN"})
    assert "How did we do" in english.text
    assert 'lang="en"' in english.text
    chinese = await survey.http.get(followup["link"] + "?lang=zh")
    assert "您满意吗" in chinese.text
    assert "R-20261123-0001" in chinese.text


async def test_an_answer_is_recorded_as_the_residents(survey: SurveyDriver) -> None:
    followup = await survey.create_followup()
    sent = await survey.http.post(followup["link"], data=FIELDS)
    assert sent.status_code == 303
    thanks = await survey.http.get(sent.headers["location"])
    assert "重新处理" in thanks.text
    attempt = (await survey.get_followup(followup["case"]))["attempts"][0]
    assert (attempt["actor"], attempt["channel"], attempt["outcome"]) == ("resident", "form", "answered")
    assert attempt["answer"] == {"rating": 2, "expected": 4, "perceived": 2, "gap": -2, "surprised": False,
                              "reason": "service", "comment": "等了太久"}  # fmt: skip
    (event,) = await survey.outbox_events("guanjia.followup.done.v1")
    assert (event.data.by, event.data.answer.rating) == ("resident", 2)


async def test_an_answer_can_be_corrected_and_is_shown_as_it_was(survey: SurveyDriver) -> None:
    followup = await survey.create_followup()
    await survey.http.post(followup["link"], data=FIELDS)
    again = (await survey.http.get(followup["link"])).text
    assert "您已评价过" in again
    assert "等了太久" in again
    survey.clock.advance(timedelta(hours=2))
    await survey.http.post(followup["link"], data={"rating": "5", "reason": "price", "surprised": "yes"})
    first, second = await survey.outbox_events("guanjia.followup.done.v1")
    assert (second.data.version, second.data.answer.rating, second.data.answer.reason) == (2, 5, None)
    assert second.data.answer.surprised is True
    assert second.data.done_at == first.data.done_at


async def test_what_staff_wrote_down_is_not_shown_to_whoever_has_the_link(survey: SurveyDriver) -> None:
    followup = await survey.create_followup()
    await survey.post_attempt(
        followup["id"], outcome="answered", answer={"rating": 4, "comment": "电话里有点不耐烦"}
    )
    assert "不耐烦" not in (await survey.http.get(followup["link"])).text


@pytest.mark.parametrize("fields", [{}, {"rating": "6"}, {"rating": "good"}, {"rating": "3", "expected": "9"},
                                    {"rating": "1", "reason": "weather"}])  # fmt: skip
async def test_a_form_that_is_not_filled_in_is_shown_again(
    survey: SurveyDriver, fields: dict[str, str]
) -> None:
    followup = await survey.create_followup()
    answer = await survey.http.post(followup["link"], data=fields | {"comment": "<script>alert(1)</script>"})
    assert answer.status_code == 422
    assert "<script>" not in answer.text
    assert "&lt;script&gt;" in answer.text
    assert (await survey.get_followup(followup["case"]))["attempts"] == []


async def test_unknown_and_expired_links_answer_alike(survey: SurveyDriver) -> None:
    followup = await survey.create_followup()
    survey.clock.advance(timedelta(days=31))
    path = urlsplit(followup["link"]).path
    answers = [await survey.http.get(link) for link in (path, "/f/" + "A" * 32, "/f/x", "/f/" + "y" * 500)]
    answers += [await survey.http.post(link, data=FIELDS) for link in (path, "/f/" + "A" * 32)]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.text for answer in answers}) == 1
    assert len({tuple(sorted(answer.headers.items())) for answer in answers}) == 1


async def test_the_page_gives_nothing_away(survey: SurveyDriver) -> None:
    followup = await survey.create_followup()
    page = await survey.http.get(followup["link"])
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert "noindex" in page.headers["x-robots-tag"]
    assert "<script" not in page.text
    assert "style=" not in page.text
    for secret in ("wang", followup["id"], followup["case"]):
        assert secret not in page.text


async def test_the_token_is_stored_nowhere_and_cannot_be_guessed(survey: SurveyDriver) -> None:
    followup = await survey.create_followup()
    token = urlsplit(followup["link"]).path.removeprefix("/f/")
    assert len(token) * 6 >= 128
    async with survey.service.database.snapshot() as connection:
        for table in survey.service.metadata.sorted_tables:
            rows = (await connection.execute(table.select())).all()
            assert token not in str(rows)


async def test_a_link_that_is_hammered_is_slowed_down(survey: SurveyDriver) -> None:
    followup, other = await survey.create_followup(), await survey.create_followup()
    codes = [(await survey.http.get(followup["link"])).status_code for _ in range(40)]
    assert codes[:20] == [200] * 20
    assert codes[-1] == 429
    assert (await survey.http.get(other["link"])).status_code == 200


async def test_too_much_is_refused(survey: SurveyDriver) -> None:
    followup = await survey.create_followup()
    assert (await survey.http.post(followup["link"], content=b"x" * 40_000)).status_code == 413
    many = "&".join(f"a{number}=1" for number in range(50))
    assert (await survey.http.post(followup["link"], content=many)).status_code == 400
    long = {"rating": "3", "comment": "长" * 4001}
    assert (await survey.http.post(followup["link"], data=long)).status_code in (413, 422)


async def test_the_stylesheet_is_served(survey: SurveyDriver) -> None:
    stylesheet = await survey.http.get("/f/form.css")
    assert stylesheet.headers["content-type"].startswith("text/css")
