"""Goal 4: whole repairs through RabbitMQ and PostgreSQL, beside a loop by hand and well-known peers.

Ours runs as four processes with everything on. A demand is posted over HTTP, crosses the outbox, RabbitMQ
and the inbox, is assigned by the system; the actions are posted over HTTP as engineers' phones do (there is
no other way for them); the round ends when survey, kpi and intake know of every repair's end. Peers take
the same eight durable steps, each at its own best concurrency.
"""

import os
from collections.abc import Awaitable, Callable
from functools import partial

from bench import checks
from bench.contender import peer
from bench.cpu_meter import Meter, megabytes
from bench.dispatcher_load import Office
from bench.environment import SERVICES, plot, product, server_processes
from bench.report import Report
from bench.results import Outcome, ratio, typical, written_cpu, written_memory
from bench.rounds import interleaved, seconds

SECONDS = 8.0
AT_ONCE = int(os.environ.get("BENCH_AT_ONCE", "256"))
WARM_UP = 32
PEERS = {
    "by hand": partial(peer, "by_hand", inflight=256),
    "Celery": partial(peer, "with_celery", inflight=32),
    "DBOS": partial(peer, "with_dbos", inflight=32),
    "procrastinate": partial(peer, "with_procrastinate", inflight=32),
}
AIMS = {"by hand": 0.5, "Celery": 4, "DBOS": 6, "procrastinate": 6}


async def ours() -> Outcome:
    """A round of guanjia."""
    with plot() as ground, product(ground, *SERVICES) as running:
        async with Office(running).at_work() as office:
            warmed, _ = await office.repairs(0.5, WARM_UP)
            await checks.closed(ground, warmed)
            with Meter({**running.pids, **server_processes()}) as meter:
                done, took = await office.repairs(seconds(SECONDS), AT_ONCE)
                lag = await checks.closed(ground, warmed + done)
        outcome = Outcome.of(done, took + lag, meter, answered=done / took, lag=lag)
        outcome.memory = {name: megabytes(*pids) for name, pids in running.pids.items()}
        return outcome


async def measure(report: Report) -> None:
    """All in turn."""
    peers = {name: partial(run, seconds=seconds(SECONDS)) for name, run in PEERS.items()}
    contenders: dict[str, Callable[[], Awaitable[Outcome]]] = {"guanjia": ours, **peers}
    found = await interleaved(contenders)
    figures = {name: typical(outcomes) for name, outcomes in found.items()}
    own = figures.pop("guanjia")
    for name, outcome in figures.items():
        report.row(
            4,
            f"whole repairs, {name}, at its best of {PEERS[name].keywords['inflight']} at once",
            f"{outcome.rate:,.0f}/s",
            cpu=written_cpu(outcome),
            memory=written_memory(outcome),
            beside=f"guanjia {ratio(own, outcome)}",
            aim=f"{AIMS[name]} x",
        )
    report.row(
        4,
        f"whole repairs, eight transitions, {AT_ONCE} at once, everything on; {own.more['answered']:,.0f}/s "
        f"answered, all told everywhere {own.more['lag']:.1f} s later",
        f"{own.rate:,.0f}/s",
        cpu=written_cpu(own),
        memory=written_memory(own),
    )
    report.row(
        4, "noise: cores that something else used, at most",
        f"{max(outcome.others for outcome in (own, *figures.values())):.2f}",
    )  # fmt: skip
