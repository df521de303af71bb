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
async def driver(
    request: pytest.FixtureRequest, tmp_path: Path, properties_folder: Path
) -> AsyncIterator[ServiceDriver]:
    """A service without pages of its own but these, and one that has some."""
    with fresh_store("sqlite", tmp_path / "data") as store:
        async with open_service(request.param, store, properties_folder, bootstrap_key=KEY) as driver:
            yield driver


only_kpi = pytest.mark.parametrize("driver", ["kpi"], indirect=True)
only_intake = pytest.mark.parametrize("driver", ["intake"], indirect=True)


async def sign_in(driver: ServiceDriver, **form: str) -> httpx.Response:
    """Send the form of the sign-in page."""
    return await driver.http.post("/sign-in", data=form, headers=OURS)


async def test_a_key_or_a_link_opens_a_session_and_leads_where_one_was_going(driver: ServiceDriver) -> None:
    code = driver.process.keyring.issue_sign_in_code(admin_identity("sign-in"))
    for credentials in ({"key": KEY}, {"key": f" {KEY} "}, {"code": code, "key": ""}):
        driver.http.cookies.clear()
        answer = await sign_in(driver, next="/rates?property=tower", **credentials)
        assert (answer.status_code, answer.headers["location"]) == (303, "/rates?property=tower")
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith(f"{SESSION_COOKIE}=")
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert KEY not in cookie


async def test_wrong_keys_and_links_look_alike(driver: ServiceDriver) -> None:
    _, revoked = driver.process.keyring.issue_key("old", ["admin"], None, None)
    driver.process.keyring.revoked_keys.add(driver.process.keyring.check_key(revoked).key)
    keys: tuple[dict[str, str], ...] = (
        {},
        {"key": ""},
        {"key": "wrong"},
        {"key": revoked},
        {"code": "wrong", "key": KEY},
        {"key": "😀"},
    )
    answers = [await sign_in(driver, **credentials) for credentials in keys]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1
    assert not any("set-cookie" in answer.headers for answer in answers)


async def test_another_sites_form_signs_nobody_in_or_out(driver: ServiceDriver) -> None:
    strange: tuple[dict[str, str], ...] = (
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://evil"},
    )
    for headers in strange:
        answer = await driver.http.post("/sign-in", data={"key": KEY}, headers=headers)
        assert (answer.status_code, "set-cookie" in answer.headers) == (401, False)
        out = await driver.http.post("/sign-out", headers=headers)
        assert "set-cookie" not in out.headers
    answer = await driver.http.post("/sign-in", data={"key": KEY}, headers={"Origin": "http://test"})
    assert answer.status_code == 303
    out = await driver.http.post("/sign-out", headers=OURS)
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
async def test_nobody_is_led_to_another_site(driver: ServiceDriver, target: str) -> None:
    answer = await sign_in(driver, key=KEY, next=target)
    location = answer.headers["location"]
    assert location.startswith("/")
    assert not location.startswith(("//", "/\\"))
    assert httpx.URL("http://test/sign-in").join(location).host == "test"


async def test_what_one_was_going_to_is_written_as_text(driver: ServiceDriver) -> None:
    page = await driver.http.get("/sign-in", params={"next": '/"><script>alert(1)</script>'})
    assert "<script>alert" not in page.text


async def test_every_page_forbids_what_it_does_not_need(driver: ServiceDriver) -> None:
    for answer in (await driver.http.get("/sign-in"), await sign_in(driver, key="wrong")):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"


async def test_pages_are_in_chinese_unless_the_reader_wants_english(driver: ServiceDriver) -> None:
    for headers, params, language in (
        ({}, {}, "zh-CN"),
        ({"accept-language": "en-GB,en;q=0.9"}, {}, "en"),
        ({"accept-language": "fr,zh-TW;q=0.9"}, {}, "zh-CN"),
        ({"accept-language": "en"}, {"lang": "zh"}, "zh-CN"),
        ({}, {"lang": "xx"}, "zh-CN"),
    ):
        driver.http.cookies.clear()
        page = await driver.http.get("/sign-in", headers=headers, params=params)
        assert f'<html lang="{language}"' in page.text
    await driver.http.get("/sign-in", params={"lang": "en"})
    assert '<html lang="en"' in (await driver.http.get("/sign-in")).text, "the choice is kept"
    assert '<html lang="zh-CN"' in (await driver.http.get("/sign-in", params={"lang": "zh"})).text


@only_kpi
async def test_a_page_without_a_session_leads_to_the_sign_in_and_back(driver: ServiceDriver) -> None:
    answer = await driver.http.get("/rates", params={"property": "tower"})
    assert answer.status_code == 303
    location = httpx.URL(answer.headers["location"])
    assert (location.path, location.params["next"]) == ("/sign-in", "/rates?property=tower")
    await sign_in(driver, key=KEY)
    assert (await driver.http.get("/rates")).status_code == 200


@only_kpi
async def test_a_page_for_others_says_so(driver: ServiceDriver) -> None:
    _, key = driver.process.keyring.issue_key("app", ["source"], ["tower"], None)
    await sign_in(driver, key=key)
    answer = await driver.http.get("/rates", headers={"accept-language": "en"})
    assert answer.status_code == 403
    assert "This page is for others." in answer.text


@only_intake
async def test_a_session_may_act_from_our_own_pages_and_from_no_other(driver: ServiceDriver) -> None:
    await sign_in(driver, key=KEY)
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
        answer = await driver.http.post("/v1/demands", json=DEMAND, headers=headers)
        assert answer.status_code == status, headers
    assert (await driver.http.get("/v1/people?property=tower")).status_code == 200, "reading is free"


async def test_a_form_beyond_all_measure_is_refused(driver: ServiceDriver) -> None:
    answer = await driver.http.post("/sign-in", content=b"key=" + b"x" * 70_000, headers=OURS)
    assert answer.status_code == 413


async def test_scripts_and_styles_are_our_own(driver: ServiceDriver) -> None:
    page = (await driver.http.get("/sign-in")).text
    for path in ("/static/guanjia.css", "/static/sign-in.js", "/static/icon.svg"):
        assert path in page
        assert (await driver.http.get(path)).status_code == 200
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    for outside in ("/static/../service.py", "/static/%2e%2e/service.py", "/static/..%2fservice.py"):
        assert (await driver.http.get(outside)).status_code == 404
