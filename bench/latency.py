"""Goal 5: from a demand that is due to be posted to its engineer's name on the board, at a steady rate.

Ours: posted over HTTP, durable, through RabbitMQ to dispatch, opened, assigned, told on the board's stream.
Peers do the same two durable steps (store the case, assign it) and tell whoever began the course: DBOS by
its handle, Celery by a message. All are timed from when the demand was due, so that waiting in line counts.
"""

import asyncio
import time
from functools import partial

from bench import aims, product_tables
from bench.contender import run_peer
from bench.cpu_meter import CpuMeter
from bench.dispatcher_load import DispatcherLoad
from bench.environment import SERVICES, RoundEnvironment, list_server_pids, round_environment, run_product
from bench.http_client import HttpConnection
from bench.peers.workload import percentiles
from bench.report import Report
from bench.results import Outcome, format_cpu, format_noise, keep_calm, list_ratios, pick_median_outcome
from bench.rounds import run_interleaved
from bench.sizes import has_peers, round_seconds
from bench.wrk import BenchFailed

SECONDS = 12.0
PEERS = {"DBOS": "with_dbos", "Celery": "with_celery"}
_TAIL_SECONDS = 60.0


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
    count = await product_tables.count_assigned(environment.database_url)
    if count != demands:
        raise BenchFailed(f"{demands} demands, {count} cases assigned")


async def measure(report: Report) -> None:
    """Both rates, the three in turn at each."""
    for rate in aims.LATENCY:
        contenders = {"guanjia": partial(measure_guanjia, rate)}
        for name, program in PEERS.items() if has_peers() else ():
            contenders[name] = partial(run_peer, program, rate=rate, steps=2, seconds=round_seconds(SECONDS))
        _judge(report, rate, await run_interleaved(contenders))


def _judge(report: Report, rate: int, outcomes: dict[str, list[Outcome]]) -> None:
    ours, guanjia = outcomes["guanjia"], pick_median_outcome(outcomes["guanjia"])
    what = f"demand to engineer on the board, {rate}/s"
    for name in outcomes.keys() - {"guanjia"}:
        peer = pick_median_outcome(outcomes[name])
        figure = f"p50 {peer.p50:.0f}, p99 {peer.p99:.0f} ms"
        report.row(5, f"{what}, {name}", figure, cpu=format_cpu(peer))
    calm = keep_calm(ours)
    report.judge(
        aims.LATENCY[rate], f"{what}: p99; p50 {guanjia.p50:.0f} ms", [each.p99 for each in calm],
        cpu=format_cpu(guanjia),
    )  # fmt: skip
    if rate == min(aims.LATENCY):
        report.judge(aims.LATENCY_CPU, f"{what}: CPU of a demand", [each.cost / 1000 for each in calm])
        if "DBOS" in outcomes:
            ratios = list_ratios(ours, outcomes["DBOS"], lambda outcome: outcome.p99)
            report.judge(aims.LATENCY_BESIDE_DBOS, f"{what}: p99 beside DBOS", ratios)
    report.row(5, f"{what}: {format_noise(outcomes)[0]}", format_noise(outcomes)[1])
