"""`guanjia report` prints every rate of a month or a year, and says what is wrong with a question."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from guanjia.cli.main import app
from services.kpi.domain.rates import RATES
from tests.support.properties import write_property


@pytest.fixture(autouse=True)
def _settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_property(tmp_path / "properties", "tower")
    for name, value in (
        ("DATA_DIR", str(tmp_path / "data")),
        ("PROPERTIES_DIR", str(tmp_path / "properties")),
        ("DATABASE_URL", ""),
        ("AMQP_URL", ""),
    ):
        monkeypatch.setenv(f"GUANJIA_{name}", value)
    monkeypatch.setenv("COLUMNS", "200")


def test_a_past_month_is_printed_as_of_its_last_instant() -> None:
    result = CliRunner().invoke(app, ["report", "2026-10", "--property", "tower"])
    assert result.exit_code == 0, result.output
    assert "2026-10 · 截至 2026-10-31 23:59:59" in result.output
    assert all(rate.name.zh in result.output for rate in RATES.values())
    assert result.output.count("暂无样本") == len(RATES)


def test_a_year_reads_in_english() -> None:
    result = CliRunner().invoke(app, ["report", "2025", "--property", "tower", "--language", "en"])
    assert result.exit_code == 0, result.output
    assert "2025 · As of 2025-12-31 23:59:59" in result.output
    assert all(rate.name.en in result.output for rate in RATES.values())


def test_without_a_period_it_is_the_running_month() -> None:
    result = CliRunner().invoke(app, ["report", "--property", "tower"])
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["2026-13", "--property", "tower"], "2026-10"),
        (["2099", "--property", "tower"], "That period has not begun."),
        (["2026-10", "--property", "annex"], "There is no such property; there are: tower."),
    ],
)
def test_what_can_not_be_reported_is_said(words: list[str], reason: str) -> None:
    result = CliRunner().invoke(app, ["report", *words])
    assert result.exit_code == 1
    assert reason in result.output
