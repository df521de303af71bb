"""Signing in and out of the pages: by key or link, in two languages, never for or to another site."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from shared.auth import admin_identity
from shared.http.authentication import SESSION_COOKIE
from tests.contract.service_driver import ServiceDriver, open_service
from tests.support.stores import fresh_store

OURS = {"Sec-Fetch-Site": "same-origin"}
DEMAND = {"property": "tower", "kind": "help", "summary": "A taxi"}
KEY = "a-bootstrap-key-of-some-length"


@pytest.fixture(params=["intake", "kpi"])
async def house(
    request: pytest.FixtureRequest, tmp_path: Path, properties_folder: Path
) -> AsyncIterator[ServiceDriver]:
    """A service without pages of its own but these, and one that has some."""
    with fresh_store("sqlite", tmp_path / "data") as store:
        async with open_service(request.param, store, properties_folder, bootstrap_key=KEY) as found:
            yield found


only_kpi = pytest.mark.parametrize("house", ["kpi"], indirect=True)
only_intake = pytest.mark.parametrize("house", ["intake"], indirect=True)


async def sign_in(house: ServiceDriver, **form: str) -> httpx.Response:
    """Send the form of the sign-in page."""
    return await house.http.post("/sign-in", data=form, headers=OURS)


async def test_a_key_or_a_link_opens_a_session_and_leads_where_one_was_going(house: ServiceDriver) -> None:
    code = house.process.keyring.code(admin_identity("sign-in"))
    for word in ({"key": KEY}, {"key": f" {KEY} "}, {"code": code, "key": ""}):
        house.http.cookies.clear()
        answer = await sign_in(house, next="/rates?property=tower", **word)
        assert (answer.status_code, answer.headers["location"]) == (303, "/rates?property=tower")
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith(f"{SESSION_COOKIE}=")
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert KEY not in cookie


async def test_wrong_keys_and_links_look_alike(house: ServiceDriver) -> None:
    _, revoked = house.process.keyring.issue("old", ["admin"], None, None)
    house.process.keyring.revoked.add(house.process.keyring.check(revoked).key)
    keys: tuple[dict[str, str], ...] = (
        {},
        {"key": ""},
        {"key": "wrong"},
        {"key": revoked},
        {"code": "wrong", "key": KEY},
        {"key": "😀"},
    )
    answers = [await sign_in(house, **word) for word in keys]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1
    assert not any("set-cookie" in answer.headers for answer in answers)


async def test_another_sites_form_signs_nobody_in_or_out(house: ServiceDriver) -> None:
    strange: tuple[dict[str, str], ...] = (
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://evil"},
    )
    for headers in strange:
        answer = await house.http.post("/sign-in", data={"key": KEY}, headers=headers)
        assert (answer.status_code, "set-cookie" in answer.headers) == (401, False)
        out = await house.http.post("/sign-out", headers=headers)
        assert "set-cookie" not in out.headers
    answer = await house.http.post("/sign-in", data={"key": KEY}, headers={"Origin": "http://test"})
    assert answer.status_code == 303
    out = await house.http.post("/sign-out", headers=OURS)
    assert out.headers["location"] == "/sign-in"
    assert "Max-Age=0" in out.headers["set-cookie"]


@pytest.mark.parametrize(
    "target",
    [
        "http://evil",
        "//evil",
        "/\\evil",
        "\\\\evil",
        "javascript:alert(1)",
        "evil",
        "/\t/evil",
        "/\n/evil",
        " //evil",
        "",
    ],
)
async def test_nobody_is_led_to_another_site(house: ServiceDriver, target: str) -> None:
    answer = await sign_in(house, key=KEY, next=target)
    place = answer.headers["location"]
    assert place.startswith("/")
    assert not place.startswith(("//", "/\\"))
    assert httpx.URL("http://test/sign-in").join(place).host == "test"


async def test_what_one_was_going_to_is_written_as_text(house: ServiceDriver) -> None:
    page = await house.http.get("/sign-in", params={"next": '/"><script>alert(1)</script>'})
    assert "<script>alert" not in page.text


async def test_every_page_forbids_what_it_does_not_need(house: ServiceDriver) -> None:
    for answer in (await house.http.get("/sign-in"), await sign_in(house, key="wrong")):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"


async def test_pages_are_in_chinese_unless_the_reader_wants_english(house: ServiceDriver) -> None:
    for headers, params, language in (
        ({}, {}, "zh-CN"),
        ({"accept-language": "en-GB,en;q=0.9"}, {}, "en"),
        ({"accept-language": "fr,zh-TW;q=0.9"}, {}, "zh-CN"),
        ({"accept-language": "en"}, {"lang": "zh"}, "zh-CN"),
        ({}, {"lang": "xx"}, "zh-CN"),
    ):
        house.http.cookies.clear()
        page = await house.http.get("/sign-in", headers=headers, params=params)
        assert f'<html lang="{language}"' in page.text
    await house.http.get("/sign-in", params={"lang": "en"})
    assert '<html lang="en"' in (await house.http.get("/sign-in")).text, "the choice is kept"
    assert '<html lang="zh-CN"' in (await house.http.get("/sign-in", params={"lang": "zh"})).text


@only_kpi
async def test_a_page_without_a_session_leads_to_the_sign_in_and_back(house: ServiceDriver) -> None:
    answer = await house.http.get("/rates", params={"property": "tower"})
    assert answer.status_code == 303
    place = httpx.URL(answer.headers["location"])
    assert (place.path, place.params["next"]) == ("/sign-in", "/rates?property=tower")
    await sign_in(house, key=KEY)
    assert (await house.http.get("/rates")).status_code == 200


@only_kpi
async def test_a_page_for_others_says_so(house: ServiceDriver) -> None:
    _, key = house.process.keyring.issue("app", ["source"], ["tower"], None)
    await sign_in(house, key=key)
    answer = await house.http.get("/rates", headers={"accept-language": "en"})
    assert answer.status_code == 403
    assert "This page is for others." in answer.text


@only_intake
async def test_a_session_may_act_from_our_own_pages_and_from_no_other(house: ServiceDriver) -> None:
    await sign_in(house, key=KEY)
    for headers, status in (
        ({}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "http://evil"}, 403),
        ({"Origin": "http://test.evil"}, 403),
        ({"Origin": "null"}, 403),
        (OURS, 202),
        ({"Origin": "http://test"}, 202),
    ):
        answer = await house.http.post("/v1/demands", json=DEMAND, headers=headers)
        assert answer.status_code == status, headers
    assert (await house.http.get("/v1/people?property=tower")).status_code == 200, "reading is free"


async def test_a_form_beyond_all_measure_is_refused(house: ServiceDriver) -> None:
    answer = await house.http.post("/sign-in", content=b"key=" + b"x" * 70_000, headers=OURS)
    assert answer.status_code == 413


async def test_scripts_and_styles_are_our_own(house: ServiceDriver) -> None:
    page = (await house.http.get("/sign-in")).text
    for place in ("/static/guanjia.css", "/static/sign-in.js", "/static/icon.svg"):
        assert place in page
        assert (await house.http.get(place)).status_code == 200
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    for outside in ("/static/../service.py", "/static/%2e%2e/service.py", "/static/..%2fservice.py"):
        assert (await house.http.get(outside)).status_code == 404
