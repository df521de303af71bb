"""A resident's phone: the form after a repair, in their language, and what an answer brings about."""

import httpx
import pytest
from playwright.async_api import Browser, expect

from tests.support.waiting import eventually
from tests.web.conftest import FIND_UNREADABLE, PHONE, SOON_MILLISECONDS, Product, Visit, wait_until_live

WORDS = {
    "zh": ("这次服务，您满意吗？", "等太久了", "重新处理", "返工", "需要修改吗？"),
    "en": (
        "How did we do this time?",
        "It took too long",
        "taking it up again",
        "Rework",
        "Anything to correct?",
    ),
}


async def finish_repair(product: Product, prop: str, language: str) -> tuple[str, str]:
    """A repair that was done and passed; its id and the address of the resident's form."""
    requester = {"name": "陈女士", "phone": "13800001111", "language": "zh-CN" if language == "zh" else "en"}
    case = await product.raise_and_assign(prop, requester=requester)
    for action in ("accept", "arrive", "complete"):
        await product.perform_action(case["id"], action, actor=case["assignee"])
    await product.perform_action(case["id"], "inspect", actor="zhao", passed=True)
    follow_ups = await eventually(
        lambda: _list_follow_ups(product, case["id"]), lambda follow_ups: len(follow_ups) == 1
    )
    reply = await product.http.get(f"/v1/followups/{follow_ups[0]['id']}")
    return case["id"], httpx.URL(reply.json()["link"]).path


async def _list_follow_ups(product: Product, case: str) -> list[dict[str, str]]:
    reply = await product.http.get("/v1/followups", params={"case": case})
    return list(reply.json()["items"])


@pytest.mark.parametrize("language", ["zh", "en"])
async def test_a_dissatisfied_answer_on_the_phone_is_on_the_board_as_rework(
    product: Product, browser: Browser, visit: Visit, language: str
) -> None:
    heading, comment, sorry, rework, correct = WORDS[language]
    prop = "answers" if language == "zh" else "answers-en"
    case, path = await finish_repair(product, prop, language)
    board = await visit(await product.issue_key(prop, "zhao", "dispatcher"), "/", language=language)
    await wait_until_live(board)
    context = await browser.new_context(viewport=PHONE, locale="fr-FR")
    page = await context.new_page()
    await page.goto(f"{product.serving.url}{path}")
    await expect(page.locator("h1")).to_have_text(heading)

    await page.locator("label.face").nth(1).click()
    await page.locator("label.choice").first.click()
    for name, step in (("expected", 5), ("perceived", 2)):
        await page.locator(f"label.step:has(input[name={name}][value='{step}'])").click()
    await page.locator("textarea").fill(comment)
    assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert await page.evaluate(FIND_UNREADABLE) == []
    await page.locator("button.send").click()

    await expect(page.locator(".thanks")).to_contain_text(sorry)
    await expect(page.locator("summary")).to_have_text(correct)
    row = board.locator("tr.case", has_text=rework)
    await expect(row).to_be_visible(timeout=SOON_MILLISECONDS)
    assert (await product.get_case(case))["id"] != (await row.get_attribute("data-case"))
    await context.close()


async def test_the_form_is_one_tap_from_the_other_language(product: Product, browser: Browser) -> None:
    _, path = await finish_repair(product, "answers", "zh")
    page = await (await browser.new_context(viewport=PHONE, locale="en-GB")).new_page()
    await page.goto(f"{product.serving.url}{path}")
    await expect(page.locator("h1")).to_have_text(WORDS["zh"][0])
    await page.locator("a.lang").click()
    await expect(page.locator("h1")).to_have_text(WORDS["en"][0])
    await page.locator("label.face").nth(4).click()
    await page.locator("button.send").click()
    await expect(page.locator(".thanks h1")).to_have_text("Thank you")
