"""How the bench comes to its figures."""

import os
import time
from collections.abc import Awaitable, Callable

import pytest

from bench.cpu_meter import CLIENT, CpuMeter
from bench.peers.workload import percentiles
from bench.report import Report
from bench.results import Outcome, pick_median_outcome
from bench.rounds import run_interleaved
from bench.wrk import _make_script


def _round(rate: float, others: float, **cpu: float) -> Outcome:
    return Outcome(count=100, rate=rate, cpu=cpu, others=others)


def test_noisy_rounds_count_only_where_no_calm_one_is_there() -> None:
    calm, noisy = _round(100, 0.1, own=10), _round(20, 1.2, own=12)
    assert pick_median_outcome([noisy, calm, noisy]).rate == 100
    assert pick_median_outcome([noisy, noisy]).rate == 20


def test_what_the_load_costs_is_no_part_of_an_operations_cost() -> None:
    assert _round(1, 0, own=10, postgres=5, **{CLIENT: 100}).cost == 15


def test_the_cpu_of_this_very_process_is_seen() -> None:
    with CpuMeter({"own": [os.getpid()]}) as meter:
        until = time.process_time() + 0.2
        while time.process_time() < until:
            pass
    assert 0.15 < meter.cpu[CLIENT] < 1
    assert 0.15 < meter.cpu["own"] < 1


def test_percentiles_are_milliseconds_of_what_was_taken() -> None:
    outcomes = percentiles([number / 1000 for number in range(100)])
    assert (round(outcomes["p50"]), round(outcomes["p99"])) == (50, 99)


async def test_every_other_round_runs_backwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_PATIENCE", "0")
    order: list[str] = []

    def contender(name: str) -> Callable[[], Awaitable[int]]:
        async def run() -> int:
            order.append(name)
            return len(order)

        return run

    outcomes = await run_interleaved({name: contender(name) for name in "ABC"}, 2)
    assert "".join(order) == "ABCCBA"
    assert outcomes == {"A": [1, 6], "B": [2, 5], "C": [3, 4]}


def test_a_load_script_puts_a_number_wherever_one_belongs() -> None:
    script = _make_script('{"id":"%NUMBER%","of":"%NUMBER%"}', {"A": "b"}, "/x", 80)
    assert 'parts = "POST /x HTTP/1.1' in script
    assert '{[==[{"id":"]==],[==[","of":"]==],[==["}]==]}' in script


def test_the_table_can_be_written_down_as_markdown() -> None:
    report = Report()
    report.row(4, "whole repairs", "100/s", aim="4 x")
    assert report.markdown().splitlines()[-1] == "| 4 | whole repairs | 100/s |  |  |  | 4 x |"
