"""Goal 5: from a demand that is due to be posted to its engineer's name on the board, at a steady rate.

Ours: posted over HTTP, durable, through RabbitMQ to dispatch, opened, assigned, told on the board's stream.
Peers do the same two durable steps (store the case, assign it) and tell whoever began the course: DBOS by
its handle, Celery by a message. All are timed from when the demand was due, so that waiting in line counts.
"""

import asyncio
import time
from functools import partial

from bench.contender import run_peer
from bench.cpu_meter import CpuMeter
from bench.dispatcher_load import DispatcherLoad
from bench.environment import SERVICES, RoundEnvironment, list_server_pids, round_environment, run_product
from bench.http_client import HttpConnection
from bench.peers.workload import percentiles
from bench.report import Report
from bench.results import Outcome, format_cpu, pick_median_outcome
from bench.rounds import count_rounds, round_seconds, run_interleaved
from bench.wrk import BenchFailed
from tests.support.stores import fetch_rows

SECONDS = 12.0
AIMS = {40: 50, 150: 100}
"""p99 in ms that is aimed at, by demands a second."""
_TAIL_SECONDS = 60.0
_ASSIGNED_CASES = "SELECT count(*) AS found FROM dispatch.cases WHERE state = 'dispatched' AND version = 2"


async def measure_guanjia(rate: int) -> Outcome:
    """A round of guanjia at `rate`."""
    with round_environment() as environment, run_product(environment, *SERVICES) as running:
        async with DispatcherLoad(running).watch_board() as load:
            await _post_steadily(load, rate, 1)
            with CpuMeter({**running.pids, **list_server_pids()}) as meter:
                durations = await _post_steadily(load, rate, round_seconds(SECONDS))
        await _check_assigned(environment, len(durations) + rate)
    outcome = Outcome.of_round(len(durations), meter.wall, meter)
    latencies = percentiles(durations)
    outcome.p50, outcome.p99 = latencies["p50"], latencies["p99"]
    return outcome


async def _post_steadily(load: DispatcherLoad, rate: int, duration: float) -> list[float]:
    """Post at `rate` for so long; the seconds each took from when it was due until the board showed it."""
    connections: asyncio.LifoQueue[HttpConnection] = asyncio.LifoQueue()
    for _ in range(64):
        connections.put_nowait(await load.connect("intake"))
    durations: list[float] = []

    async def post_and_wait(due: float) -> None:
        connection = await connections.get()
        case = await load.post_demand(connection)
        connections.put_nowait(connection)
        durations.append(await load.wait_until_assigned(case) - due)

    started = time.perf_counter()
    async with asyncio.timeout(duration + _TAIL_SECONDS), asyncio.TaskGroup() as group:
        for number in range(int(rate * duration)):
            due = started + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(post_and_wait(due))
    while not connections.empty():
        connections.get_nowait().close()
    return durations


async def _check_assigned(environment: RoundEnvironment, demands: int) -> None:
    count = (await fetch_rows(environment.database_url, _ASSIGNED_CASES))[0]["found"]
    if count != demands:
        raise BenchFailed(f"{demands} demands, {count} cases assigned")


async def measure(report: Report) -> None:
    """Both rates, the three in turn at each."""
    for rate, aim in AIMS.items():
        peers = {
            "DBOS": partial(run_peer, "with_dbos", rate=rate, steps=2, seconds=round_seconds(SECONDS)),
            "Celery": partial(run_peer, "with_celery", rate=rate, steps=2, seconds=round_seconds(SECONDS)),
        }
        outcomes = await run_interleaved(
            {"guanjia": partial(measure_guanjia, rate), **peers}, min(2, count_rounds())
        )
        medians = {name: pick_median_outcome(rounds) for name, rounds in outcomes.items()}
        guanjia = medians["guanjia"]
        for name, outcome in medians.items():
            report.row(
                5,
                f"demand to engineer on the board, {rate}/s, {name}; others used {outcome.others:.2f} cores",
                f"p50 {outcome.p50:.0f}, p99 {outcome.p99:.0f} ms",
                cpu=format_cpu(outcome),
                beside="" if outcome is guanjia else f"guanjia's p99 {guanjia.p99 / outcome.p99:.2f} x",
                aim=f"p99 {aim} ms" if outcome is guanjia else "below 1 x",
            )
