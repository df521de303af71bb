"""Goal 11: two copies of each service on the same database and broker, beside one.

Who did what is read from outside. Consumed and sent: RabbitMQ counts the messages that each channel has
acknowledged and published; the channel's connection comes from a port, the port belongs to a process. Timers:
the process that decides that a deadline is near or missed counts it (`guanjia_deadlines_total`). An outsider
hears all public events and notes what came twice.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from bench import aims, broker_counts, checks, published
from bench.cpu_meter import CpuMeter
from bench.dispatcher_load import DispatcherLoad
from bench.environment import (
    SERVICES,
    STAFFED_PROPERTY,
    list_server_pids,
    round_environment,
    run_product,
)
from bench.report import Report
from bench.results import Outcome, format_cpu, format_noise, list_ratios, pick_median_outcome
from bench.rounds import run_interleaved
from bench.sizes import repairs_at_once, round_seconds, timed_demands
from bench.wrk import BenchFailed
from tests.support.processes import ServiceProcess
from tests.support.waiting import WaitTimedOut, eventually

SECONDS, AT_ONCE, WARM_UP = 8.0, 64, 8
_NOTICES = 4
"""Of each demand that nobody takes up: two deadlines are warned of, then missed."""
_SHORT_DEADLINES = """

[service_levels.repair."*"]
clocks = { respond = "2s", arrive = "off", complete = "3s" }
accept_within = "1h"
"""


@dataclass
class CopiesFigures(Outcome):
    """An outcome, of each sort of work what each copy did, by `service, what`, and what was sent twice."""

    work: dict[str, list[float]] = field(default_factory=dict)
    sent_twice: int = 0

    def shares(self) -> dict[str, float]:
        """The part of each sort of work that the copy that did least of it has done."""
        return {name: min(done) / sum(done) for name, done in self.work.items() if sum(done)}


async def measure_copies(count: int) -> CopiesFigures:
    """A round of whole repairs with so many copies of each service; an outsider hears all that is public."""
    with (
        round_environment() as environment,
        run_product(environment, *SERVICES, copies=count) as running,
    ):
        async with (
            published.hear_public_events(environment.amqp_url) as heard,
            DispatcherLoad(running).watch_board() as load,
        ):
            warmed_up, _ = await load.run_repairs(0.5, WARM_UP)
            await checks.wait_until_all_written(environment, running, warmed_up)
            with CpuMeter({**running.pids, **list_server_pids()}) as meter:
                done, took = await load.run_repairs(round_seconds(SECONDS), repairs_at_once(AT_ONCE))
                lag = await checks.wait_until_all_written(environment, running, warmed_up + done)
            figures = CopiesFigures(**vars(Outcome.of_round(done, took + lag, meter)))
            if count > 1:
                figures.work = await broker_counts.count_messages(environment.amqp_url, running)
        figures.sent_twice = len(heard) - len(set(heard))
    return figures


async def measure_timers(count: int) -> list[float]:
    """The deadlines that each of so many copies of dispatch has noticed; every one by one of them, once.

    BenchFailed where one is missing or was noticed twice.
    """
    properties = {"tower": STAFFED_PROPERTY + _SHORT_DEADLINES}
    with (
        round_environment() as environment,
        run_product(environment, "intake", "dispatch", copies=count, properties=properties) as running,
    ):
        load = DispatcherLoad(running)
        connection = await load.connect("intake")
        for _ in range(timed_demands()):
            await load.post_demand(connection)
        connection.close()
        return await _wait_for_notices(running.copies["dispatch"])


async def _wait_for_notices(copies: Sequence[ServiceProcess]) -> list[float]:
    async def count_notices() -> list[float]:
        samples = [await published.read_samples(copy, "guanjia_deadlines_total") for copy in copies]
        return [sum(counts.values()) for counts in samples]

    expected = timed_demands() * _NOTICES
    try:
        await eventually(count_notices, lambda counts: sum(counts) >= expected, within=60, every=0.25)
        await asyncio.sleep(1.5)  # one noticed twice would come now
        counts = await count_notices()
    except WaitTimedOut as timeout:
        raise BenchFailed(f"{expected} notices of deadlines expected: {timeout}") from timeout
    if sum(counts) != expected:
        raise BenchFailed(f"{expected} notices of deadlines expected, {counts} counted")
    return counts


async def measure(report: Report) -> None:
    """One copy and two, in turn."""
    rounds = await run_interleaved({"one": partial(measure_copies, 1), "two": partial(measure_copies, 2)})
    timers = await run_interleaved({"timers": partial(measure_timers, 2)})
    for name, outcomes in rounds.items():
        outcome = pick_median_outcome(outcomes)
        report.row(
            11, f"whole repairs, {repairs_at_once(AT_ONCE)} at once, copies of each service: {name}",
            f"{outcome.rate:,.0f}/s", cpu=format_cpu(outcome),
        )  # fmt: skip
    ratios = list_ratios(rounds["two"], rounds["one"], lambda outcome: outcome.cost)
    report.judge(aims.COPIES_CPU, "CPU of a whole repair, two copies beside one", ratios)
    shares = [figures.shares() for figures in rounds["two"]]
    for name in sorted(set.intersection(*(set(share) for share in shares))):
        did = " and ".join(f"{done:,.0f}" for done in rounds["two"][-1].work[name])
        what = f"{name}: the share of the copy that did less"
        report.judge(aims.COPIES_LEAST_SHARE, what, [share[name] for share in shares], beside=did)
    least = [min(counts) / sum(counts) for counts in timers["timers"]]
    did = " and ".join(f"{count:,.0f}" for count in timers["timers"][-1])
    what = "dispatch, timers: the share of the copy that did less"
    report.judge(aims.COPIES_LEAST_SHARE, what, least, beside=did)
    heard = f"of {sum(figures.count for figures in rounds['two']):,} repairs; none was told or taken twice"
    twice = [figures.sent_twice for figures in rounds["two"]]
    report.judge(aims.COPIES_TWICE, "public events that came twice, two copies", twice, beside=heard)
    report.row(11, *format_noise(rounds))
