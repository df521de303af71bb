"""Counts are compared exactly, and what people read never flatters."""

import re
from fractions import Fraction

from services.kpi.domain import formatting
from services.kpi.domain.figures import Figure, decimal_text
from services.kpi.domain.rates import RATES


def figure(kpi: str, numerator: int, denominator: int) -> Figure:
    return Figure(RATES[kpi], RATES[kpi].target, numerator, denominator)


def test_every_rate_is_described_in_both_languages() -> None:
    for rate in RATES.values():
        for text in (rate.name, rate.definition, rate.unit.counts):
            assert re.search("[\u4e00-\u9fff]", text.zh), rate.kpi
            assert re.search("[A-Za-z]", text.en), rate.kpi
            assert not re.search("[\u4e00-\u9fff]", text.en), rate.kpi
    assert len({rate.name for rate in RATES.values()}) == len(RATES)


def test_reworks_are_shown_after_the_rates_of_the_contract() -> None:
    assert list(RATES)[-1] == "repair_rework"
    assert figure("repair_rework", 1, 100).met is True
    assert figure("repair_rework", 2, 100).met is False


def test_all_means_exactly_all() -> None:
    billions = 10**17
    assert figure("equipment_intact", billions, billions).met is True
    assert figure("equipment_intact", billions - 1, billions).met is False


def test_a_rate_that_equals_its_target_meets_it() -> None:
    assert figure("customer_satisfaction", 99, 100).met is True
    assert figure("valid_complaint", 1, 100).met is True
    assert figure("valid_complaint", 10_001, 1_000_000).met is False


def test_zero_is_met_only_by_none() -> None:
    assert figure("major_incident", 0, 250).met is True
    assert figure("major_incident", 1, 10**9).met is False


def test_without_a_denominator_there_is_no_sample() -> None:
    nothing = figure("major_incident", 3, 0)
    assert nothing.ratio is None
    assert nothing.met is None


def test_decimal_strings_are_exact_and_plain() -> None:
    assert decimal_text(99_999_999_999_999, 10_000) == "9999999999.9999"
    assert decimal_text(10_005_000, 10_000) == "1000.5"
    assert decimal_text(0, 10_000) == "0"
    assert decimal_text(42, 1) == "42"
    assert decimal_text(1, 1_000_000) == "0.000001"


def test_what_misses_a_target_is_not_shown_as_reaching_it() -> None:
    assert formatting.format_percent(Fraction(99_999, 100_000), "min") == "99.99 %"
    assert formatting.format_percent(Fraction(1), "min") == "100 %"
    assert formatting.format_percent(Fraction(1, 100_000_000), "max") == "0.01 %"
    assert formatting.format_percent(Fraction(0), "max") == "0 %"
    assert formatting.format_percent(None, "min") == "–"
