"""A simulated month as the trade would read it: counted right, neither perfect nor a ruin, and alive."""

import sqlite3
from fractions import Fraction

import pytest

from services.kpi.domain.rates import RATES
from tests.simulation.campaign import prove_result
from tests.simulation.spans import UNTIL, SpanResult, simulate

NONE_FOR_MONTHS = {"major_incident", "general_incident"}


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> SpanResult:
    """Seed 7."""
    return simulate(tmp_path_factory.mktemp("month"), 7, 30)


def test_it_is_whole_and_every_rate_equals_both_recounts(month: SpanResult) -> None:
    prove_result(month, UNTIL)


def test_every_rate_has_a_sample_some_meet_their_target_and_some_miss_it_by_little(month: SpanResult) -> None:
    met, near = set(), set()
    for kpi, (numerator, denominator) in month.fractions("rolling_30d").items():
        ratio, rate = numerator / denominator, RATES[kpi]
        short = (Fraction(rate.target) - ratio) * (1 if rate.bound == "min" else -1)
        met |= {kpi} if short <= 0 else set()
        near |= {kpi} if short < Fraction(8, 100) else set()
    assert near == set(RATES)
    assert 4 <= len(met) <= 14


def test_few_rates_are_perfect(month: SpanResult) -> None:
    rates = month.fractions("year").items()
    perfect = {kpi for kpi, (numerator, denominator) in rates if numerator in (0, denominator)}
    assert len(perfect - NONE_FOR_MONTHS) <= 5, perfect


def test_at_its_end_the_board_is_alive(month: SpanResult) -> None:
    with sqlite3.connect(month.settings.data_dir / "dispatch.db") as connection:
        (states,) = connection.execute("SELECT count(DISTINCT state) FROM cases WHERE is_open").fetchone()
        (busy,) = connection.execute("SELECT count(DISTINCT assignee) FROM cases WHERE is_busy").fetchone()
        (kinds,) = connection.execute("SELECT count(DISTINCT kind) FROM cases WHERE is_open").fetchone()
    assert (states >= 4, busy >= 3, kinds >= 2) == (True, True, True), (states, busy, kinds)


def test_a_dead_elevator_is_one_job_and_many_folded_reports(month: SpanResult) -> None:
    with sqlite3.connect(month.settings.data_dir / "dispatch.db") as connection:
        folded = connection.execute(
            "SELECT parent, count(*) FROM cases WHERE parent IS NOT NULL GROUP BY parent"
        ).fetchall()
    assert len(folded) >= 3
    assert max(count for _, count in folded) > 20
