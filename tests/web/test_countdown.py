"""The page counts down in the same words as the server writes them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import services.dispatch.app
from services.dispatch.domain.workflow.loader import load_workflows
from services.dispatch.domain.workflow_catalog import WorkflowCatalog
from services.dispatch.pages.localizer import Localizer
from shared.pages.texts import load_texts
from tests.web.conftest import Product, Visit

NOW = datetime(2026, 11, 23, 1, tzinfo=UTC)
TEXTS = load_texts(Path(services.dispatch.app.__file__).with_name("pages") / "texts.toml")
HALF = timedelta(seconds=30)
WORDS = [
    (timedelta(minutes=25), "还有 25 分", "25 min left"),
    (timedelta(minutes=65), "还有 1 小时 5 分", "1 h 5 min left"),
    (timedelta(hours=2), "还有 2 小时", "2 h left"),
    (timedelta(days=2, hours=3), "还有 2 天 3 小时", "2 d 3 h left"),
    (-timedelta(minutes=66), "超时 1 小时 5 分", "1 h 5 min overdue"),
    (-timedelta(days=1, minutes=1), "超时 1 天", "1 d overdue"),
]


def localizer(language: str) -> Localizer:
    return Localizer(
        language=language, texts=TEXTS, catalog=WorkflowCatalog(load_workflows().values(), {}), now=NOW
    )


@pytest.mark.parametrize(("ahead", "chinese", "english"), WORDS)
def test_what_is_left_is_told_in_two_units(ahead: timedelta, chinese: str, english: str) -> None:
    assert localizer("zh").until(NOW + ahead + HALF) == chinese
    assert localizer("en").until(NOW + ahead + HALF) == english


def test_the_last_minute_is_told_in_seconds() -> None:
    assert localizer("zh").until(NOW + timedelta(seconds=40)) == "还有 40 秒"
    assert localizer("en").until(NOW - timedelta(seconds=5)) == "5 s overdue"


def test_every_text_is_there_in_both_languages() -> None:
    assert {
        key for key, text in TEXTS.items() if set(text) != {"zh", "en"} or not all(text.values())
    } == set()


@pytest.mark.parametrize("language", ["zh", "en"])
async def test_the_page_counts_down_as_the_server_does(product: Product, visit: Visit, language: str) -> None:
    key = await product.issue_key("private", "zhao", "dispatcher")
    page = await visit(key, "/", language=language)
    ahead = [(length + HALF).total_seconds() for length, _, _ in WORDS]
    put = """lengths => { for (const length of lengths) {
        const place = document.createElement("p");
        place.className = "probe";
        place.dataset.warn = place.dataset.due = new Date(Date.now() + length * 1000).toISOString();
        document.body.append(place); } }"""
    await page.evaluate(put, ahead)
    await page.locator(".probe:not(:empty)").first.wait_for()

    shown = await page.locator(".probe").all_text_contents()

    assert shown == [words[1 if language == "zh" else 2] for words in WORDS]
