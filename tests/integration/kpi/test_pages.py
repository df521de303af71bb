"""The page of the rates, for those who may see them, in both languages."""

from services.kpi.domain.rates import RATES
from tests.integration.kpi.conftest import KpiDesk
from tests.unit.kpi.facts import inspected, on


async def page(desk: KpiDesk, path: str, *roles: str, language: str = "zh") -> str:
    """The page as somebody with these roles sees it."""
    headers = desk.key(*(roles or ("manager",))) | {"Accept-Language": language}
    answer = await desk.http.get(path, headers=headers)
    assert answer.status_code == 200, answer.text
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    return answer.text


async def test_the_page_shows_every_rate_against_its_target(desk: KpiDesk) -> None:
    await desk.tell(inspected("k1", "cleaning", 3000, 2999, on("05")))
    text = await page(desk, "/rates?property=tower&window=year")
    assert text.count('<tr id="rate-') == len(RATES)
    assert "保洁合格率" in text
    assert "99.96 %" in text
    assert "2,999 / 3,000" in text
    assert "口碑指数" in text
    assert "全国物业管理示范大厦" in text


async def test_the_page_is_there_in_english(desk: KpiDesk) -> None:
    text = await page(desk, "/rates", language="en")
    assert "Cleaning passed" in text
    assert "No sample" in text


async def test_each_rate_leads_to_its_evidence(desk: KpiDesk) -> None:
    await desk.tell(*(inspected(f"<b>{n}", "cleaning", 10, 9, on("05")) for n in range(60)))
    text = await page(desk, "/rates/cleaning_pass?property=tower&window=month&side=shortfall")
    assert "&lt;b&gt;59" in text
    assert "下一页" in text


async def test_strangers_are_sent_to_sign_in_and_others_told_no(desk: KpiDesk) -> None:
    answer = await desk.http.get("/rates")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=%2Frates")
    assert await status(desk, "/rates", "engineer") == 403
    assert await status(desk, "/rates?property=annex", "manager") == 403
    assert await status(desk, "/rates/nothing?property=tower", "manager") == 404
    assert await status(desk, "/rates?window=week", "manager") == 422


async def status(desk: KpiDesk, path: str, role: str) -> int:
    """What somebody with this role is answered."""
    return (await desk.http.get(path, headers=desk.key(role))).status_code
