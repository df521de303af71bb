"""The form on a phone of 390 points, in a real browser without scripts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import uvicorn
from playwright.async_api import Page

from tests.integration.survey.conftest import SurveyDriver
from tests.support.browser import open_browser
from tests.support.children import free_port
from tests.support.waiting import eventually


@asynccontextmanager
async def serve_app(survey: SurveyDriver) -> AsyncIterator[str]:
    """The application on a port of its own."""
    transport, port = survey.http._transport, free_port()
    assert isinstance(transport, httpx.ASGITransport)
    server = uvicorn.Server(uvicorn.Config(transport.app, port=port, log_level="warning"))
    serving = asyncio.create_task(server._serve())

    async def started() -> bool:
        return server.started

    try:
        await eventually(started)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await serving


@asynccontextmanager
async def open_phone_page() -> AsyncIterator[tuple[Page, list[str]]]:
    """A page, and its complaints."""
    async with open_browser() as browser:
        context = await browser.new_context(viewport={"width": 390, "height": 844}, java_script_enabled=False)
        page = await context.new_page()
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("requestfailed", lambda request: complaints.append(request.url))
        yield page, complaints


async def test_a_resident_answers_on_a_phone_and_corrects(survey: SurveyDriver) -> None:
    followup = await survey.create_followup()
    path = httpx.URL(followup["link"]).path
    async with serve_app(survey) as origin, open_phone_page() as (page, complaints):
        await page.goto(origin + path)
        assert not await page.locator(".reasons").is_visible()
        await page.locator("label.face").nth(0).click()
        assert await page.locator(".reasons").is_visible()
        await page.locator("input[name=reason][value=service]").check()
        await page.locator("textarea").fill("等了两个小时")
        for control in await page.locator("label.face, label.step, label.choice, button").all():
            box = await control.bounding_box()
            assert box is not None
            assert box["height"] >= 44
            assert box["x"] + box["width"] <= 390
        await page.locator("button.send").click()
        await page.get_by_text("谢谢您的评价").wait_for()
        await page.get_by_text("需要修改吗").click()
        await page.locator("label.face").nth(4).click()
        await page.locator("button.send").click()
        await page.get_by_text("我们已经收到").wait_for()
        assert complaints == []
    attempts = (await survey.get_followup(followup["case"]))["attempts"]
    assert [attempt["answer"]["rating"] for attempt in attempts] == [1, 5]
