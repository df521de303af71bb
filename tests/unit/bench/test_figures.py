"""How the bench comes to its figures."""

import math
import os
import socket
import time
from collections.abc import Awaitable, Callable

import pytest

from bench import aims
from bench.aims import Aim
from bench.broker_counts import list_local_ports
from bench.cpu_meter import CLIENT, CpuMeter
from bench.peers.workload import percentiles
from bench.report import Report
from bench.results import Outcome, list_ratios, pick_median_outcome
from bench.rounds import run_interleaved
from bench.trend import fit_slope
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
    report.row(4, "whole repairs", "100/s", beside="of each")
    assert report.markdown().splitlines()[-1] == "| 4 | whole repairs | 100/s |  |  | of each |  |  |"


def test_a_figure_is_judged_by_its_median_and_by_what_single_rounds_say() -> None:
    aim = Aim(4, "at least", 6, "x Celery")
    assert [aim.judge(values) for values in ([6, 7, 8], [5, 6, 7], [5, 5, 6], [1])] == [
        "met",
        "met, within the noise",
        "missed, within the noise",
        "missed",
    ]
    assert Aim(2, "below", 1, "s").judge([1]) == "missed"
    assert Aim(10, "at most", 5, "MB an hour").judge([math.nan]) == "missed"


def test_all_thirteen_goals_are_aimed_at() -> None:
    single = [aim for aim in vars(aims).values() if isinstance(aim, Aim)]
    several = [*aims.REPAIRS_BESIDE.values(), *aims.LATENCY.values()]
    assert {aim.goal for aim in (*single, *several)} == set(range(1, 14))


def test_ratios_are_of_the_rounds_that_ran_side_by_side() -> None:
    ours, others = [_round(10, 0), _round(30, 0)], [_round(10, 0), _round(10, 1.2)]
    assert list_ratios(ours, others) == [1]
    assert list_ratios([ours[1]], [others[1]]) == [3]


def test_a_judged_row_shows_the_median_its_spread_and_the_verdict() -> None:
    report = Report()
    report.judge(Aim(12, "at most", 100, "ms"), "seen", [80, 120, 90])
    assert report.rows[0].cells[1:] == (
        *("seen", "90.0 ms (80.0 to 120)", "", "", "", "<= 100 ms", "met, within the noise"),
    )


def test_a_slope_is_told_by_the_hour_with_what_it_may_be_off_by() -> None:
    at_least, likely, at_most = fit_slope([(second, 100 + second / 3600) for second in range(100)])
    assert (round(at_least, 6), round(likely, 6), round(at_most, 6)) == (1, 1, 1)
    at_least, likely, at_most = fit_slope([(second, second % 2) for second in range(100)])
    assert at_least < 0 < at_most
    assert all(math.isnan(slope) for slope in fit_slope([(0, 1)]))


def test_the_ports_of_this_process_are_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert server.getsockname()[1] in list_local_ports(os.getpid())
