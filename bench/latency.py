"""Goal 5: from a demand that is due to be posted to its engineer's name on the board, at a steady rate.

Ours: posted over HTTP, durable, through RabbitMQ to dispatch, opened, assigned, told on the board's stream.
Peers do the same two durable steps (store the case, assign it) and tell whoever began the course: DBOS by
its handle, Celery by a message. All are timed from when the demand was due, so that waiting in line counts.
"""

import asyncio
import time
from functools import partial

from bench.contender import peer
from bench.cpu_meter import Meter
from bench.dispatcher_load import Office
from bench.environment import SERVICES, Plot, plot, product, server_processes
from bench.http_client import Line
from bench.peers.workload import percentiles
from bench.report import Report
from bench.results import Outcome, typical, written_cpu
from bench.rounds import interleaved, rounds, seconds
from bench.wrk import BenchFailed
from tests.support.stores import rows

SECONDS = 12.0
AIMS = {40: 50, 150: 100}
"""p99 in ms that is aimed at, by demands a second."""
_TAIL = 60.0
_ASSIGNED = "SELECT count(*) AS found FROM dispatch.cases WHERE state = 'dispatched' AND version = 2"


async def ours(rate: int) -> Outcome:
    """A round of guanjia at `rate`."""
    with plot() as ground, product(ground, *SERVICES) as running:
        async with Office(running).at_work() as office:
            await _steadily(office, rate, 1)
            with Meter({**running.pids, **server_processes()}) as meter:
                taken = await _steadily(office, rate, seconds(SECONDS))
        await _check(ground, len(taken) + rate)
    outcome = Outcome.of(len(taken), meter.wall, meter)
    late = percentiles(taken)
    outcome.p50, outcome.p99 = late["p50"], late["p99"]
    return outcome


async def _steadily(office: Office, rate: int, duration: float) -> list[float]:
    """Post at `rate` for so long; the seconds each took from when it was due until the board showed it."""
    lines: asyncio.LifoQueue[Line] = asyncio.LifoQueue()
    for _ in range(64):
        lines.put_nowait(await office.line("intake"))
    taken: list[float] = []

    async def one(due: float) -> None:
        line = await lines.get()
        case = await office.demand(line)
        lines.put_nowait(line)
        taken.append(await office.assigned(case) - due)

    started = time.perf_counter()
    async with asyncio.timeout(duration + _TAIL), asyncio.TaskGroup() as group:
        for number in range(int(rate * duration)):
            due = started + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(one(due))
    while not lines.empty():
        lines.get_nowait().close()
    return taken


async def _check(ground: Plot, demands: int) -> None:
    found = (await rows(ground.database_url, _ASSIGNED))[0]["found"]
    if found != demands:
        raise BenchFailed(f"{demands} demands, {found} cases assigned")


async def measure(report: Report) -> None:
    """Both rates, the three in turn at each."""
    for rate, aim in AIMS.items():
        peers = {
            "DBOS": partial(peer, "with_dbos", rate=rate, steps=2, seconds=seconds(SECONDS)),
            "Celery": partial(peer, "with_celery", rate=rate, steps=2, seconds=seconds(SECONDS)),
        }
        found = await interleaved({"guanjia": partial(ours, rate), **peers}, min(2, rounds()))
        figures = {name: typical(outcomes) for name, outcomes in found.items()}
        own = figures["guanjia"]
        for name, outcome in figures.items():
            report.row(
                5,
                f"demand to engineer on the board, {rate}/s, {name}; others used {outcome.others:.2f} cores",
                f"p50 {outcome.p50:.0f}, p99 {outcome.p99:.0f} ms",
                cpu=written_cpu(outcome),
                beside="" if outcome is own else f"guanjia's p99 {own.p99 / outcome.p99:.2f} x",
                aim=f"p99 {aim} ms" if outcome is own else "below 1 x",
            )
