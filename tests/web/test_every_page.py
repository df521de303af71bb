"""Every page of a house full of life, on a phone and on a screen: it fits, can be read, in one language."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, ViewportSize, expect

from tests.web.catalogue import is_foreign
from tests.web.conftest import FIND_UNREADABLE, PHONE, SCREEN
from tests.web.simulated_product import SimulatedProduct, serve_simulated, simulate_into

UNTIL = datetime(2026, 11, 23, 10, 10, tzinfo=UTC)
NARROW = 320
"""The narrowest phone, or a page enlarged four times on a screen of 1280."""
SPACED = "* { letter-spacing: .12em !important; word-spacing: .16em !important; line-height: 1.5 !important }"
"""What a reader may ask for (WCAG 2, 1.4.12); as wide as the widest fonts that a phone may have."""
LIST_SHOWN = Path(__file__).with_name("shown.js").read_text()


@pytest.fixture(scope="module")
def simulated_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A day and a quarter until a Monday, 18:10 at the property; the day before, an elevator died."""
    return tmp_path_factory.mktemp("simulated")


@pytest.fixture
async def product(simulated_folder: Path) -> AsyncIterator[SimulatedProduct]:
    """That house, served."""
    if not (simulated_folder / "kpi.db").exists():
        await simulate_into(simulated_folder, 1, timedelta(days=1.25), UNTIL)
    async with serve_simulated(simulated_folder, UNTIL) as product:
        yield product


async def list_paths_by_person(product: SimulatedProduct) -> dict[str, list[str]]:
    """Who looks at what: a case of every kind and state that there is, and rates of every way of counting."""
    prop = product.prop.id
    cases = (await product.get("/v1/cases", property=prop, limit=200))["items"]
    cases = list({(case["kind"], case["state"]): case for case in cases}.values())
    due = (await product.get("/v1/followups", property=prop, limit=200))["items"]
    links = [
        (await product.get(f"/v1/followups/{follow_up['id']}"))["link"] for follow_up in (due[0], due[-1])
    ]
    rates = (
        "repair_timeliness",
        "fee_collection",
        "equipment_intact",
        "valid_complaint",
        "greening_survival",
    )
    sides = [f"/rates/{kpi}?property={prop}&window=year&side=denominator" for kpi in rates]
    return {
        "": ["/sign-in", "/f/none", *(link.removeprefix(product.origin) for link in links)],
        "lu.jiaqi": [
            "/",
            "/?q=nothing-like-that",
            "/cases/none",
            *(f"/cases/{case['id']}" for case in cases),
        ],
        "jiang.wen": ["/"],
        "gu.weimin": ["/rates?window=year", *sides],
    }


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("viewport", [PHONE, SCREEN], ids=["phone", "screen"])
async def test_every_page_fits_and_speaks_one_language(
    product: SimulatedProduct, browser: Browser, viewport: ViewportSize, language: str
) -> None:
    wrong: list[str] = []
    for person, paths in (await list_paths_by_person(product)).items():
        context = await browser.new_context(
            viewport=viewport, locale=f"{language}-{'CN' if language == 'zh' else 'GB'}"
        )
        page = await context.new_page()
        if person:
            await page.goto(product.make_sign_in_link(person, language))
            await page.wait_for_url(f"{product.origin}/")
        for path in paths:
            joined = "&" if "?" in path else "?"
            reply = await page.goto(f"{product.origin}{path}{joined}lang={language}")
            if reply is None or reply.status >= 500:
                wrong.append(f"{path}: failed")
            wrong += [f"{path}: {fault}" for fault in await find_faults(page, viewport["width"], language)]
        await context.close()
    assert wrong == []


async def test_the_page_of_the_rates_renews_itself_without_taking_the_focus_away(
    product: SimulatedProduct, browser: Browser
) -> None:
    page = await (await browser.new_context(viewport=SCREEN, locale="zh-CN")).new_page()
    await page.goto(product.make_sign_in_link("gu.weimin", "zh"))
    await page.wait_for_url(f"{product.origin}/")
    await page.goto(f"{product.origin}/rates")
    await page.locator("#rates").evaluate("shown => { shown.dataset.old = 'yes'; }")
    await page.locator("#evidence-repair_pass").focus()

    await expect(page.locator("#rates[data-old]")).to_have_count(0, timeout=10_000)

    await expect(page.locator("#evidence-repair_pass")).to_be_focused()
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/rates/repair_pass?**")


def test_a_text_of_the_other_language_and_a_programs_word_are_told_apart_from_ours() -> None:
    for text in (
        "Assignee",
        "5 s overdue",
        "elevators",
        "not_valid",
        "Arrive…",
        "蒋文（Depart、Arrive）。",
    ):
        assert is_foreign(text, "zh"), text
    for text in ("负责人", "超时 5 秒", "on_site", "维修及时率", "截至 2026-11-20 18:10"):
        assert is_foreign(text, "en"), text
    for text in ("English", "已派工", "17:50", "贵宾", "厨房水龙头漏水"):
        assert not is_foreign(text, "zh"), text
    for text in ("中文", "Dispatched", "BX-261120-TKD4HC", "Yuan Bin", "low", "徐娜"):
        assert not is_foreign(text, "en"), text


async def find_faults(page: Page, width: int, language: str) -> list[str]:
    """What is wrong with the page that is shown."""
    shown = await page.evaluate(LIST_SHOWN)
    faults = [f"foreign: {text}" for text in shown["texts"] if is_foreign(text, language)]
    faults += await page.evaluate(FIND_UNREADABLE)
    faults += await check_width(page, width)
    if width <= PHONE["width"]:
        faults += [f"small: {target}" for target in shown["small"]]
        await page.set_viewport_size(ViewportSize(width=NARROW, height=700))
        faults += await check_width(page, NARROW)
        await page.evaluate("rule => document.styleSheets[0].insertRule(rule)", SPACED)
        faults += await check_width(page, NARROW)
        await page.set_viewport_size(PHONE)
    return faults


async def check_width(page: Page, width: int) -> list[str]:
    """Whether one must scroll sideways."""
    needed: int = await page.evaluate("document.documentElement.scrollWidth")
    return [f"{needed} wide in a window of {width}"] if needed > width else []
