"""A rate is one entry: one more in the catalogue, and it is everywhere, with nothing else touched."""

import json
import warnings
from decimal import Decimal

import pytest
from prometheus_client.parser import text_string_to_metric_families

from guanjia.cli.report import load_report
from guanjia.properties import load_checked
from services.kpi.domain.rate import FOLLOW_UPS, BilingualText, Part, Rate
from services.kpi.domain.rates import RATES
from services.kpi.jobs import refresh_gauges
from tests.integration.kpi.conftest import KpiDesk
from tests.unit.kpi.facts import answered, on

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # the kit would have us use its newest kind of board
    from guanjia.dashboards.documents import build_dashboards

KPI = "help_follow_up"
MONTH = {"property": "tower", "window": "month"}
BESIDE_REPAIRS = Part(("follow_up_other",))


@pytest.fixture(autouse=True)
def entry(monkeypatch: pytest.MonkeyPatch) -> Rate:
    """Follow-ups of all but repairs, of which half are enough; gone again after the test."""
    rate = Rate(
        kpi=KPI,
        name=BilingualText("其他回访率", "Other follow-ups done"),
        definition=BilingualText("同回访率，不计维修。", "As follow-ups done, without repairs."),
        area="greening",
        unit=FOLLOW_UPS,
        bound="min",
        target=Decimal("0.5"),
        numerator=BESIDE_REPAIRS,
        denominator=BESIDE_REPAIRS,
    )
    monkeypatch.setitem(RATES, KPI, rate)
    return rate


@pytest.fixture(autouse=True)
async def one_follow_up(desk: KpiDesk) -> None:
    await desk.tell(answered("f1", 5, on("04")))


async def test_it_is_in_the_api(desk: KpiDesk) -> None:
    rate = (await desk.get("/v1/kpis", **MONTH))["items"][-1]
    assert (rate["kpi"], rate["name"], rate["target"]) == (KPI, "其他回访率", 0.5)
    assert (rate["numerator"], rate["denominator"], rate["met"]) == ("1", "1", True)


async def test_it_has_evidence(desk: KpiDesk) -> None:
    evidence = await desk.get(f"/v1/kpis/{KPI}/evidence", **MONTH)
    assert evidence["definition"] == "同回访率，不计维修。"
    assert [item["case"] for item in evidence["items"]] == ["case-f1"]


async def test_it_is_among_the_gauges(desk: KpiDesk) -> None:
    await refresh_gauges(desk.service)
    families = text_string_to_metric_families(desk.service.render_metrics().decode())
    tower = {"property": "tower", "kpi": KPI}
    values = {
        sample.name: sample.value
        for family in families
        for sample in family.samples
        if tower.items() <= sample.labels.items() and sample.labels.get("window", "month") == "month"
    }
    assert values == {
        "guanjia_kpi_ratio": 1,
        "guanjia_kpi_numerator": 1,
        "guanjia_kpi_denominator": 1,
        "guanjia_kpi_target_ratio": 0.5,
        "guanjia_kpi_target_met": 1,
    }


@pytest.mark.parametrize(("language", "name"), [("zh", "其他回访率"), ("en", "Other follow-ups done")])
async def test_it_is_on_the_page_with_a_page_of_its_own(desk: KpiDesk, language: str, name: str) -> None:
    headers = desk.key("manager") | {"Accept-Language": language}
    page = await desk.http.get("/rates?property=tower", headers=headers)
    assert page.text.count('<tr id="rate-') == len(RATES)
    assert f'id="rate-{KPI}"' in page.text
    assert name in page.text
    evidence = await desk.http.get(f"/rates/{KPI}?property=tower&window=month", headers=headers)
    assert evidence.status_code == 200
    assert name in evidence.text


async def test_it_is_on_the_dashboard(desk: KpiDesk) -> None:
    panels = json.loads(build_dashboards()["rates.json"])["panels"]
    titled = [panel for panel in panels if panel.get("title") == "其他回访率 · Other follow-ups done"]
    assert [f'kpi="{KPI}"' in target["expr"] for target in titled[0]["targets"]] == [True, True]
    table = next(panel for panel in panels if panel["type"] == "table")
    assert "其他回访率" in json.dumps(table, ensure_ascii=False)


async def test_it_is_in_the_report(desk: KpiDesk) -> None:
    report = await load_report(desk.service, "2026-11", "tower", "en")
    row = report.rows[-1]
    assert (row.name, row.counts, row.percent) == ("Other follow-ups done", "1 / 1 follow-ups", "100 %")
    assert (row.target, row.standing) == ("≥ 50 %", "met")
    assert len(report.rows) == len(RATES)


async def test_a_property_may_set_its_target(desk: KpiDesk) -> None:
    folder = desk.service.settings.properties_dir
    with (folder / "annex" / "property.toml").open("a") as file:
        file.write(f"\n[targets]\n{KPI} = 0.75\n")
    assert load_checked(folder)["annex"].target_changes == {KPI: 0.75}
