"""What holds for every page: languages, signing in and out, other sites, other people's data, looks."""

import httpx
import pytest
from playwright.async_api import Page, ViewportSize, expect

from tests.support.processes import KEY
from tests.web.conftest import FIND_UNREADABLE, PHONE, SCREEN, Product, Visit


async def check_looks(page: Page, width: int) -> None:
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
    assert await page.evaluate(FIND_UNREADABLE) == []


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("viewport", [PHONE, SCREEN], ids=["phone", "screen"])
async def test_every_page_fits_and_can_be_read(
    product: Product, visit: Visit, language: str, viewport: ViewportSize
) -> None:
    case = await product.raise_and_assign(
        "private", summary="A rather long summary of what is broken here " * 3
    )
    for person, role in ((case["assignee"], "engineer"), ("zhao", "dispatcher")):
        key = await product.issue_key("private", person, role)
        page = await visit(key, "/", viewport, language=language)
        for path in ("/", "/?view=all&q=nothing-like-that", f"/cases/{case['id']}", "/cases/none"):
            await page.goto(f"{product.serving.url}{path}")
            assert await page.locator("html").get_attribute("lang") == ("zh-CN" if language == "zh" else "en")
            await check_looks(page, viewport["width"])
    await check_looks(await visit(None, "/sign-in", viewport, language=language), viewport["width"])


async def test_the_other_language_is_one_tap_away_and_stays(product: Product, visit: Visit) -> None:
    page = await visit(await product.issue_key("private", "zhao", "dispatcher"), "/?view=all&kind=repair")
    await expect(page.locator("h1")).to_contain_text("工单看板")
    await page.locator("a.lang").click()
    await expect(page.locator("h1")).to_contain_text("Open cases")
    assert "kind=repair" in page.url
    await page.goto(f"{product.serving.url}/")
    await expect(page.locator("h1")).to_contain_text("Open cases")


async def test_after_signing_out_a_page_asks_to_sign_in_and_leads_back(
    product: Product, visit: Visit
) -> None:
    case = await product.raise_demand("private")
    key = await product.issue_key("private", "zhao", "dispatcher")
    page = await visit(key, "/")
    await page.locator("header form button").click()
    await page.wait_for_url("**/sign-in")
    await page.goto(f"{product.serving.url}/cases/{case}")
    await page.locator("input[name=key]").fill("gj_nobody")
    await page.locator("#sign-in button").click()
    await expect(page.locator("[role=alert]")).to_contain_text("密钥或链接无效")
    await page.locator("input[name=key]").fill(key)
    await page.locator("#sign-in button").click()
    await page.wait_for_url(f"**/cases/{case}")


async def test_another_site_can_neither_act_nor_sign_anybody_out(product: Product) -> None:
    case = await product.raise_and_assign("private")
    foreign = {"Origin": "https://elsewhere.example", "Sec-Fetch-Site": "cross-site"}
    async with httpx.AsyncClient(base_url=product.serving.url, trust_env=False) as browser:
        sign_in_reply = await browser.post(
            "/sign-in", data={"key": KEY}, headers={"Sec-Fetch-Site": "same-origin"}
        )
        assert sign_in_reply.status_code == 303
        form = {"action": "accept", "version": "2", "key": "k1"}
        act_reply = await browser.post(f"/cases/{case['id']}/act", data=form, headers=foreign)
        sign_out_reply = await browser.post("/sign-out", headers=foreign)
        page_reply = await browser.get("/")
    assert (act_reply.status_code, sign_out_reply.status_code, page_reply.status_code) == (403, 403, 200)
    assert (await product.get_case(case["id"]))["state"] == "dispatched"


async def test_who_asked_is_shown_to_those_who_need_it_only(product: Product, visit: Visit) -> None:
    case = await product.raise_and_assign("private", requester={"name": "陈女士", "phone": "13800001111"})
    other = "li" if case["assignee"] == "wang" else "wang"
    path = f"/cases/{case['id']}"
    readers = [(case["assignee"], "engineer", 1), ("zhao", "dispatcher", 1), (other, "engineer", 0)]
    for person, role, count in [*readers, ("zhao", "manager", 0)]:
        page = await visit(await product.issue_key("private", person, role), path)
        await expect(page.locator("a.phone")).to_have_count(count)
    page = await visit(await product.issue_key("live", "zhao", "dispatcher"), path)
    await expect(page.locator("h1")).to_contain_text("未找到")
