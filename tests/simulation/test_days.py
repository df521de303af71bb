"""A few simulated days: the same from the same seed, whole, and counted as they happened."""

from pathlib import Path

import pytest

from services.kpi.domain.rates import RATES
from services.kpi.domain.windows import WINDOWS
from tests.simulation.spans import UNTIL, SpanResult, simulate
from tests.unit.kpi.oracle import recount

DAYS = 1.75


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> SpanResult:
    """Seed 7."""
    return simulate(tmp_path_factory.mktemp("seven"), 7, DAYS)


def test_days_are_full_of_life(days: SpanResult) -> None:
    assert days.counts["events"] > 250
    assert days.counts["cases"] > 30
    assert days.counts["steps"] > 150
    assert days.counts["attempts"] > 5


def test_the_same_seed_gives_the_same_rates_to_the_byte(days: SpanResult, tmp_path: Path) -> None:
    again = simulate(tmp_path, 7, DAYS)
    assert [[kpi for kpi, _, _ in days.rates[window]] for window in WINDOWS] == [list(RATES)] * len(WINDOWS)
    assert again.rates == days.rates
    assert again.counts == days.counts


def test_another_seed_gives_another_month(days: SpanResult, tmp_path: Path) -> None:
    assert simulate(tmp_path, 8, DAYS).rates != days.rates


def test_reports_of_a_dead_elevator_are_folded_into_its_one_job(days: SpanResult) -> None:
    folded = [step for history in days.history.histories for step in history.steps if step[1] == "attach"]
    assert len(folded) > 10


def test_nothing_is_left_over_and_nothing_was_refused(days: SpanResult) -> None:
    assert days.unsettled == {}
    assert days.refused == {}


def test_every_accepted_demand_has_exactly_one_case(days: SpanResult) -> None:
    assert len(days.demands) == days.counts["demands"] == len(set(days.demands))
    assert set(days.demands) <= set(days.cases)
    assert len(days.cases) == days.counts["cases"]


def test_counting_from_scratch_gives_the_same_rates(days: SpanResult) -> None:
    assert days.recounted_rates == days.rates


def test_an_independent_recount_gives_the_same_rates(days: SpanResult) -> None:
    for window in WINDOWS:
        assert days.fractions(window) == recount(days.history, UNTIL, window)
