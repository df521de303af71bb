"""Windows begin at local midnights, also where clocks change."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from services.kpi.domain.windows import window_start

WUXI = ZoneInfo("Asia/Shanghai")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def test_a_month_begins_at_the_local_midnight_of_its_first_day() -> None:
    assert window_start("month", at("2026-11-01T00:00:00+08:00"), WUXI) == at("2026-11-01T00:00:00+08:00")
    assert window_start("month", at("2026-10-31T23:59:59+08:00"), WUXI) == at("2026-10-01T00:00:00+08:00")


def test_a_year_begins_on_new_years_day_of_the_property() -> None:
    assert window_start("year", at("2025-12-31T16:00:00Z"), WUXI) == at("2026-01-01T00:00:00+08:00")


def test_rolling_thirty_days_are_today_and_the_29_days_before() -> None:
    assert window_start("rolling_30d", at("2026-03-01T12:00:00+08:00"), WUXI) == at(
        "2026-01-31T00:00:00+08:00"
    )


def test_days_are_counted_by_the_calendar_across_summer_time() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    assert window_start("rolling_30d", at("2026-04-10T12:00:00+02:00"), berlin) == at(
        "2026-03-12T00:00:00+01:00"
    )


def test_where_clocks_skip_midnight_the_day_begins_when_they_do() -> None:
    cairo = ZoneInfo("Africa/Cairo")  # 2026-04-24 begins at 01:00
    assert window_start("rolling_30d", at("2026-05-23T12:00:00+03:00"), cairo) == at(
        "2026-04-23T22:00:00+00:00"
    )


def test_where_midnight_comes_twice_the_day_begins_with_the_first() -> None:
    havana = ZoneInfo("America/Havana")  # 2026-11-01 has two hours from 00:00 to 01:00
    assert window_start("month", at("2026-11-01T12:00:00-05:00"), havana) == at("2026-11-01T00:00:00-04:00")
