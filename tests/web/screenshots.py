"""Takes the pictures in `docs/pictures`: every page, in Chinese and English, on a phone and on a screen.

A simulated month with a fixed seed and a fixed end runs in a temporary folder and served from there, its
clock standing still, so that the same code gives the same pictures. Everybody in them is invented.
"""

import asyncio
import io
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from PIL import Image
from playwright.async_api import Browser, Page, ViewportSize

from shared.telemetry import configure_logging
from tests.support.browser import open_browser
from tests.web.simulated_product import SimulatedProduct, serve_simulated, simulate_into

PICTURES = Path(__file__).resolve().parents[2] / "docs" / "pictures"
SEED, SPAN = 1, timedelta(days=37)
UNTIL = datetime(2026, 11, 20, 10, 10, tzinfo=UTC)
"""A Friday, 18:10 at the property: an elevator died in the rush, and everybody reports it."""
WIDTHS = {390: 844, 1440: 900}
MAX_HEIGHT = 1800
"""Points; what lies below is cut off."""
COLOURS = 256
Prepare = Callable[[Page, int], Awaitable[None]]


@dataclass(frozen=True)
class Picture:
    """A page as `person` sees it (None: nobody signed in), after `prepare`."""

    name: str
    path: str
    person: str | None = None
    prepare: Prepare | None = None


async def list_pictures(product: SimulatedProduct) -> list[Picture]:
    """The pages worth a look, found by what is in the house and not by ids, which differ each time."""
    prop = product.prop.id
    cases = (await product.get("/v1/cases", property=prop, open="true", limit=200))["items"]
    alarm = next(case for case in cases if case["priority"] == "urgent")
    assignees = [case["assignee"] for case in cases if case["state"] in ("accepted", "travelling", "on_site")]
    full = [await product.get(f"/v1/cases/{case['id']}") for case in cases if case["state"] != "folded"]
    longest = max(full, key=lambda case: len(case["history"]))
    due = (await product.get("/v1/followups", property=prop, state="due", limit=1))["items"][0]
    form = (await product.get(f"/v1/followups/{due['id']}"))["link"].removeprefix(product.origin)
    rate = f"?property={prop}&window=month"
    return [
        Picture("sign-in", "/sign-in"),
        Picture("board", "/", "lu.jiaqi", open_case_panel(alarm["id"])),
        Picture("jobs", "/", max(sorted(set(assignees)), key=assignees.count)),
        Picture("case", f"/cases/{longest['id']}", "hua.min"),
        Picture("form", form, None, fill_in_dissatisfied),
        Picture("rates", f"/rates{rate}", "gu.weimin"),
        Picture("evidence", f"/rates/repair_timeliness{rate}&side=shortfall", "gu.weimin"),
    ]


def open_case_panel(case: str) -> Prepare:
    """Open a case beside the board, where there is room for it."""

    async def prepare(page: Page, width: int) -> None:
        await page.locator("[data-live-state=on]").wait_for()
        if width > 1100:
            await page.locator(f"#case-{case} .summary").click()
            await page.locator("#panel article").wait_for()

    return prepare


async def fill_in_dissatisfied(page: Page, _: int) -> None:
    """A form that is being filled in by somebody who waited too long."""
    await page.locator("label.face").nth(1).click()
    await page.locator("input[name=reason][value=service]").check()


async def take_picture(
    browser: Browser, product: SimulatedProduct, picture: Picture, width: int, language: str
) -> None:
    """One picture."""
    locale = "zh-CN" if language == "zh" else "en-GB"
    viewport = ViewportSize(width=width, height=WIDTHS[width])
    context = await browser.new_context(viewport=viewport, locale=locale, reduced_motion="reduce")
    page = await context.new_page()
    if picture.person:
        await page.goto(product.make_sign_in_link(picture.person, language))
        await page.wait_for_url(f"{product.origin}/")
    joined = "&" if "?" in picture.path else "?"
    await page.goto(f"{product.origin}{picture.path}{joined}lang={language}")
    if picture.prepare:
        await picture.prepare(page, width)
    await page.evaluate("document.fonts.ready")
    full: int = await page.evaluate("document.documentElement.scrollHeight")
    await page.set_viewport_size({"width": width, "height": min(full, MAX_HEIGHT)})
    await page.evaluate("scrollTo(0, 0)")  # what was tapped may lie far down
    screenshot = await page.screenshot(animations="disabled", caret="hide")
    save_picture(screenshot, PICTURES / f"{picture.name}-{width}-{language}.png")
    await context.close()


def save_picture(screenshot: bytes, file: Path) -> None:
    """With a palette, which holds all that a flat page needs in a third of the size."""
    full = Image.open(io.BytesIO(screenshot)).convert("RGB")
    reduced = full.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE)
    reduced.save(file, optimize=True)
    print(f"{file.name}  {file.stat().st_size // 1024} KB")


async def main() -> None:
    """All pictures anew."""
    configure_logging("ERROR")
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="guanjia-pictures-") as folder:
        await simulate_into(Path(folder), SEED, SPAN, UNTIL)
        async with serve_simulated(Path(folder), UNTIL) as product, open_browser() as browser:
            for picture in await list_pictures(product):
                for width in WIDTHS:
                    for language in ("zh", "en"):
                        await take_picture(browser, product, picture, width, language)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
