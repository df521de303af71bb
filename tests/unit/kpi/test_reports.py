"""A report is of a month or a year, as of its last instant or of now, and says what people read."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from services.kpi.domain.figures import Figure
from services.kpi.domain.rates import RATES
from services.kpi.domain.reports import Period, instant_of, make_report, month_of, parse_period
from services.kpi.domain.windows import window_start

WUXI = ZoneInfo("Asia/Shanghai")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def test_a_period_is_a_month_or_a_year() -> None:
    assert parse_period("2026-10") == Period(2026, 10)
    assert parse_period("2026") == Period(2026)
    assert [str(parse_period(text)) for text in ("2026-10", "2026")] == ["2026-10", "2026"]


@pytest.mark.parametrize("text", ["2026-13", "2026-1", "26", "2026-10-01", "", "1999", "二〇二六"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="2026-10"):
        parse_period(text)


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("2026-10", "2026-10-31T23:59:59.999999+08:00"),
        ("2026-12", "2026-12-31T23:59:59.999999+08:00"),
        ("2028-02", "2028-02-29T23:59:59.999999+08:00"),
        ("2026", "2026-12-31T23:59:59.999999+08:00"),
    ],
)
def test_a_period_that_is_over_is_shown_as_of_its_last_instant(text: str, last: str) -> None:
    period = parse_period(text)
    instant = instant_of(period, at("2030-01-01T00:00:00Z"), WUXI)
    assert instant == at(last)
    first = at(f"{period.year}-{period.month or 1:02}-01T00:00:00+08:00")
    assert window_start(period.window, instant, WUXI) == first


def test_a_period_that_runs_is_shown_as_of_now() -> None:
    now = at("2026-10-05T08:00:00+08:00")
    assert instant_of(Period(2026, 10), now, WUXI) == now
    assert instant_of(Period(2026), now, WUXI) == now
    assert month_of(at("2026-10-31T16:00:00Z"), WUXI) == Period(2026, 11)


def test_a_period_that_has_not_begun_is_refused() -> None:
    with pytest.raises(ValueError, match="尚未开始"):
        instant_of(Period(2026, 11), at("2026-10-31T23:59:59+08:00"), WUXI)


def test_a_report_reads_in_either_language() -> None:
    hours = Figure(RATES["equipment_intact"], RATES["equipment_intact"].target, 3_599_000_000, 7_200_000_000)
    reworks = Figure(RATES["repair_rework"], RATES["repair_rework"].target, 1, 1234)
    rows = make_report([hours, reworks], "zh")
    assert [(row.name, row.counts) for row in rows] == [
        ("设备完好率", "1.00 / 2.00 小时"),
        ("返修率", "1 件返修 / 1,234 件维修"),
    ]
    assert [(row.percent, row.target, row.standing) for row in make_report([hours, reworks], "en")] == [
        ("49.98 %", "100 %", "missed"),
        ("0.09 %", "≤ 1 %", "met"),
    ]
    (empty,) = make_report([Figure(RATES["repair_rework"], RATES["repair_rework"].target, 0, 0)], "en")
    assert (empty.name, empty.percent, empty.standing) == ("Repairs reworked", "–", "no_sample")
