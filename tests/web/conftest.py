"""A running house with several properties, one for each story, and people who sign in with a real browser."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, ViewportSize

from tests.support.browser import open_browser
from tests.support.processes import Processes, ServiceProcess, open_client
from tests.support.properties import TOWER, write_property
from tests.support.waiting import eventually

PHONE = ViewportSize(width=390, height=844)
SCREEN = ViewportSize(width=1440, height=900)
PROPERTIES = [
    "live",
    "moves",
    "filters",
    "repair",
    "taps",
    "stale",
    "missing",
    "kin",
    "looks",
    "private",
    "offline",
    "plain",
    "folds",
    "answers",
    "answers-en",
]
"""Each test has a property of its own, so that none sees the cases of another."""
EXPECTED = ("Failed to load resource", "Failed to fetch", "net::ERR", "htmx:")
"""What a browser says of refusals and lost connections, which these tests bring about."""
FIND_UNREADABLE = Path(__file__).with_name("seen.js").read_text()
"""Tells what on a page is faint or has no name."""
SOON_MILLISECONDS = 5000
"""Milliseconds: a second or two, and room for a busy machine."""
Visit = Callable[..., Awaitable[Page]]


@dataclass
class Product:
    """Running services and what a test asks of them."""

    serving: ServiceProcess
    http: httpx.AsyncClient

    async def raise_demand(self, prop: str, **data: Any) -> str:
        """Raise a demand; its id."""
        data = {"property": prop, "kind": "repair", "summary": "水管漏水"} | data
        reply = await self.http.post("/v1/demands", json=data)
        reply.raise_for_status()
        return str(reply.json()["demand"])

    async def get_case(self, case: str) -> dict[str, Any]:
        """A case as it is now."""
        reply = await self.http.get(f"/v1/cases/{case}")
        reply.raise_for_status()
        detail: dict[str, Any] = reply.json()
        return detail

    async def raise_and_assign(self, prop: str, **data: Any) -> dict[str, Any]:
        """Raise a repair and wait until somebody has it."""
        case = await self.raise_demand(prop, **data)
        return await eventually(lambda: self.get_case(case), lambda case: case["assignee"] is not None)

    async def perform_action(self, case: str, action: str, actor: str | None = None, **data: Any) -> None:
        """Take a step over the API."""
        body = {"action": action, "data": data} | ({"actor": actor} if actor else {})
        reply = await self.http.post(f"/v1/cases/{case}/actions", json=body)
        assert reply.status_code == 200, reply.text

    async def issue_key(self, prop: str, person: str, *roles: str) -> str:
        """A key of a person."""
        body = {"name": person, "roles": list(roles), "properties": [prop], "person": person}
        reply = await self.http.post("/v1/keys", json=body)
        reply.raise_for_status()
        return str(reply.json()["key"])

    def read_sign_in_link(self) -> str:
        """The sign-in link that the services printed when they started."""
        match = re.search(rf"{self.serving.url}/sign-in#\S+", self.serving.read_log())
        assert match, self.serving.read_log()
        return match[0]


@pytest.fixture(scope="package")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """All services in one process; every test has a property to itself."""
    folder = tmp_path_factory.mktemp("web")
    for name in PROPERTIES:
        write_property(folder / "properties", name, TOWER)
    group = Processes(folder, folder / "properties")
    try:
        yield group.start("all")
    finally:
        group.close()


@pytest.fixture
async def product(running: ServiceProcess) -> AsyncIterator[Product]:
    """The running services, asked as their administrator."""
    async with open_client(running) as http:
        yield Product(running, http)


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """A real browser."""
    async with open_browser() as chromium:
        yield chromium


@pytest.fixture
async def visit(browser: Browser, product: Product) -> AsyncIterator[Visit]:
    """Opens a page as somebody: `await visit(key, "/", PHONE, language="en")`. No page may complain."""
    complaints: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        if message.type == "error" and not any(words in message.text for words in EXPECTED):
            complaints.append(message.text)

    async def open_page(
        key: str | None, path: str, viewport: ViewportSize = SCREEN, *, language: str = "zh"
    ) -> Page:
        locale = "zh-CN" if language == "zh" else "en-GB"
        context = await browser.new_context(viewport=viewport, locale=locale)
        context.set_default_timeout(8000)
        page = await context.new_page()
        page.on("console", listen)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        origin = product.serving.url
        if key is None:
            await page.goto(f"{origin}{path}")
            return page
        await page.goto(f"{origin}/sign-in?next={quote(path)}")
        await page.locator("input[name=key]").fill(key)
        await page.locator("#sign-in button").click()
        await page.wait_for_url(lambda url: url == f"{origin}{path}")
        return page

    yield open_page
    assert complaints == []


async def wait_until_live(page: Page) -> None:
    """Wait until the page hears of changes."""
    await page.locator("[data-live-state=on]").wait_for()
