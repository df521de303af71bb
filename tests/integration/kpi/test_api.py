"""What the rates answer over HTTP: every rate as of any instant, with the very items behind them."""

from decimal import Decimal
from typing import Any

import pytest

from services.kpi.domain.rates import RATES
from tests.integration.kpi.conftest import KpiDesk
from tests.unit.kpi.facts import answered, billed, incident, inspected, occupied, on, paid
from tests.unit.kpi.worlds import WorldMaker

MONTH = {"property": "tower", "window": "month"}


async def rate(desk: KpiDesk, kpi: str, **params: Any) -> dict[str, Any]:
    """One of the rates."""
    items = (await desk.get("/v1/kpis", **(MONTH | params)))["items"]
    return next(item for item in items if item["kpi"] == kpi)


async def test_every_rate_is_there_and_null_without_a_sample(desk: KpiDesk) -> None:
    told = await desk.get("/v1/kpis", **MONTH)
    assert [item["kpi"] for item in told["items"]] == list(RATES)
    assert told["next"] is None
    assert told["items"][0] == {
        "kpi": "customer_satisfaction", "name": "客户服务满意率", "window": "month",
        "start": "2026-10-31T16:00:00Z", "end": "2026-11-24T04:30:00Z", "numerator": "0", "denominator": "0",
        "rate": None, "target": 0.99, "bound": "min", "met": None,
    }  # fmt: skip


async def test_the_rates_are_a_list_like_any_other(desk: KpiDesk) -> None:
    first = await desk.get("/v1/kpis", **MONTH, limit=10)
    rest = await desk.get("/v1/kpis", **MONTH, limit=10, cursor=first["next"])
    assert [item["kpi"] for item in first["items"] + rest["items"]] == list(RATES)
    assert rest["next"] is None


async def test_money_is_told_exactly(desk: KpiDesk) -> None:
    await desk.tell(paid("p1", "b1", "0.1", on("01")), paid("p2", "b1", "0.2", on("02")))
    await desk.tell(billed("b1", "0.3", on("20"), on("03")))
    told = await rate(desk, "fee_collection")
    assert (told["numerator"], told["denominator"], told["rate"], told["met"]) == ("0.3", "0.3", 1.0, True)


async def test_a_past_instant_knows_only_what_had_happened_by_then(desk: KpiDesk) -> None:
    await desk.tell(answered("f1", 2, on("05")), answered("f1", 5, on("10"), version=2))
    assert (await rate(desk, "customer_satisfaction"))["numerator"] == "1"
    before = await rate(desk, "customer_satisfaction", at="2026-11-07T00:00:00+08:00")
    assert (before["numerator"], before["denominator"], before["met"]) == ("0", "1", False)
    earlier = await rate(desk, "customer_satisfaction", at="2026-11-04T00:00:00+08:00")
    assert (earlier["denominator"], earlier["rate"]) == ("0", None)


async def test_incidents_are_counted_per_occupied_unit(desk: KpiDesk) -> None:
    await desk.tell(incident("i1", "general", on("05")))
    assert (await rate(desk, "general_incident"))["rate"] is None
    await desk.tell(occupied(250, on("01")))
    told = await rate(desk, "general_incident")
    assert (told["numerator"], told["denominator"], told["rate"], told["met"]) == ("1", "250", 0.004, False)
    assert (await rate(desk, "major_incident"))["met"] is True


async def test_the_evidence_is_what_was_counted_page_by_page(desk: KpiDesk) -> None:
    world = WorldMaker(3, 60).make()
    await desk.tell(*world.facts, *world.follow_ups)
    for one in (await desk.get("/v1/kpis", property="tower", window="year"))["items"]:
        for side in ("numerator", "denominator"):
            items = await every_page(desk, one["kpi"], side)
            assert sum(Decimal(item[side]) for item in items) == Decimal(one[side]), (one["kpi"], side)
            assert len({(item["kind"], item["id"], item["at"]) for item in items}) <= len(items)


async def every_page(desk: KpiDesk, kpi: str, side: str) -> list[dict[str, Any]]:
    """All items of a side, fetched by twos."""
    items, cursor = [], None
    while True:
        params: dict[str, Any] = {"property": "tower", "window": "year", "side": side, "limit": 2}
        page = await desk.get(f"/v1/kpis/{kpi}/evidence", **params, cursor=cursor or "")
        items += page["items"]
        cursor = page["next"]
        if cursor is None:
            return items


async def test_pages_of_evidence_are_of_one_instant(desk: KpiDesk) -> None:
    await desk.tell(*(inspected(f"k{n}", "cleaning", 10, 9, on("05")) for n in range(3)))
    first = await desk.get("/v1/kpis/cleaning_pass/evidence", **MONTH, limit=2)
    late, corrected = inspected("k9", "cleaning", 5, 5, on("01")), inspected("k0", "cleaning", 1, 1, on("25"))
    await desk.tell(late, corrected)
    desk.clock.advance(on("26") - desk.clock.now())
    second = await desk.get("/v1/kpis/cleaning_pass/evidence", **MONTH, limit=2, cursor=first["next"])
    assert second["figure"]["end"] == first["figure"]["end"]
    assert len(second["items"]) == 2


async def test_the_shortfall_is_what_keeps_a_rate_from_its_best(desk: KpiDesk) -> None:
    await desk.tell(inspected("good", "cleaning", 10, 10, on("05")))
    await desk.tell(inspected("poor", "cleaning", 10, 9, on("06")))
    told = await desk.get("/v1/kpis/cleaning_pass/evidence", **MONTH, side="shortfall")
    assert [item["id"] for item in told["items"]] == ["poor"]
    assert told["figure"]["numerator"] == "19"
    assert "保洁检查合格点数" in told["definition"]


@pytest.mark.parametrize(
    ("path", "params", "status"),
    [
        ("/v1/kpis", {"property": "annex", "window": "month"}, 403),
        ("/v1/kpis", {"property": "nowhere", "window": "month"}, 404),
        ("/v1/kpis", {"property": "tower", "window": "week"}, 422),
        ("/v1/kpis", {"property": "tower", "at": "yesterday"}, 422),
        ("/v1/kpis", {"property": "tower", "at": "2026-11-01T00:00:00"}, 422),
        ("/v1/kpis", {"property": "tower", "at": "0001-01-01T00:00:00Z"}, 422),
        ("/v1/kpis", {"property": "tower", "at": "9999-12-31T23:59:59Z"}, 422),
        ("/v1/kpis", {"property": "tower", "colour": "red"}, 422),
        ("/v1/kpis", {"property": "tower", "cursor": "greening_satisfaction"}, 422),
        ("/v1/kpis/happiness/evidence", {"property": "tower"}, 404),
        ("/v1/kpis/follow_up/evidence", {"property": "annex"}, 403),
        ("/v1/kpis/follow_up/evidence", {"property": "tower", "side": "left"}, 422),
        ("/v1/kpis/follow_up/evidence", {"property": "tower", "limit": "201"}, 422),
        ("/v1/kpis/follow_up/evidence", {"property": "tower", "cursor": "bm8"}, 422),
        ("/v1/kpis/follow_up/evidence", {"property": "tower", "cursor": "é"}, 422),
    ],
)
async def test_what_can_not_be_answered_is_told_so(
    desk: KpiDesk, path: str, params: dict[str, str], status: int
) -> None:
    answer = await desk.http.get(path, params=params, headers=desk.key("manager"))
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


async def test_only_those_who_steer_a_property_see_its_rates(desk: KpiDesk) -> None:
    assert (await desk.http.get("/v1/kpis", params=MONTH)).status_code == 401
    may = {"source": 403, "engineer": 403, "quality": 200, "operations": 200, "dispatcher": 200}
    for role, status in may.items():
        assert (await desk.http.get("/v1/kpis", params=MONTH, headers=desk.key(role))).status_code == status
    admin = desk.key("admin", properties=None)
    assert (await desk.http.get("/v1/kpis", params={"property": "nowhere"}, headers=admin)).status_code == 404
    assert (await desk.http.get("/v1/kpis", headers=admin)).status_code == 422


async def test_a_plus_that_a_url_turned_into_a_space_is_understood(desk: KpiDesk) -> None:
    answer = await desk.http.get(
        "/v1/kpis?property=tower&at=2026-11-07T00:00:00+08:00", headers=desk.key("manager")
    )
    assert answer.json()["items"][0]["end"] == "2026-11-06T16:00:00Z"
