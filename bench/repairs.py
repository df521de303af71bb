"""Goal 4: whole repairs through RabbitMQ and PostgreSQL, beside a loop by hand and well-known peers.

Ours runs as four processes with everything on. A demand is posted over HTTP, crosses the outbox, RabbitMQ
and the inbox, is assigned by the system; the actions are posted over HTTP as engineers' phones do (there is
no other way for them); the round ends when survey, kpi and intake know of every repair's end. Peers take
the same eight durable steps, each at its own best concurrency.
"""

from collections.abc import Awaitable, Callable
from functools import partial

from bench import aims, checks
from bench.contender import run_peer
from bench.cpu_meter import CpuMeter, resident_megabytes
from bench.dispatcher_load import DispatcherLoad
from bench.environment import SERVICES, list_server_pids, round_environment, run_product
from bench.report import Report
from bench.results import (
    Outcome,
    format_cpu,
    format_cpu_ratio,
    format_memory,
    format_noise,
    list_ratios,
    pick_median_outcome,
)
from bench.rounds import run_interleaved
from bench.sizes import has_peers, repairs_at_once, round_seconds

SECONDS = 8.0
AT_ONCE = 256
WARM_UP = 32
FLOORS = ("by hand",)
PEERS = {
    "by hand": partial(run_peer, "by_hand", inflight=256),
    "Celery": partial(run_peer, "with_celery", inflight=32),
    "DBOS": partial(run_peer, "with_dbos", inflight=32),
    "procrastinate": partial(run_peer, "with_procrastinate", inflight=32),
}


async def measure_guanjia() -> Outcome:
    """A round of guanjia."""
    with round_environment() as environment, run_product(environment, *SERVICES) as running:
        async with DispatcherLoad(running).watch_board() as load:
            warmed_up, _ = await load.run_repairs(0.5, WARM_UP)
            await checks.wait_until_all_written(environment, running, warmed_up)
            with CpuMeter({**running.pids, **list_server_pids()}) as meter:
                done, took = await load.run_repairs(round_seconds(SECONDS), repairs_at_once(AT_ONCE))
                lag = await checks.wait_until_all_written(environment, running, warmed_up + done)
        outcome = Outcome.of_round(done, took + lag, meter, answered=done / took, lag=lag)
        outcome.memory = {name: resident_megabytes(*pids) for name, pids in running.pids.items()}
        return outcome


async def measure(report: Report) -> None:
    """All in turn."""
    names = PEERS if has_peers() else FLOORS
    peers = {name: partial(PEERS[name], seconds=round_seconds(SECONDS)) for name in names}
    contenders: dict[str, Callable[[], Awaitable[Outcome]]] = {"guanjia": measure_guanjia, **peers}
    outcomes = await run_interleaved(contenders)
    guanjia = pick_median_outcome(outcomes["guanjia"])
    report.row(
        4,
        f"whole repairs, eight transitions, {repairs_at_once(AT_ONCE)} at once, everything on; "
        f"{guanjia.extra['answered']:,.0f}/s answered, told everywhere {guanjia.extra['lag']:.1f} s later",
        f"{guanjia.rate:,.0f}/s",
        cpu=format_cpu(guanjia),
        memory=format_memory(guanjia),
    )
    for name in names:
        outcome = pick_median_outcome(outcomes[name])
        report.judge(
            aims.REPAIRS_BESIDE[name],
            f"the same beside {name}, {PEERS[name].keywords['inflight']} at once: {outcome.rate:,.0f}/s",
            list_ratios(outcomes["guanjia"], outcomes[name]),
            cpu=format_cpu(outcome),
            memory=format_memory(outcome),
            beside=format_cpu_ratio(guanjia, outcome),
        )
    report.row(4, *format_noise(outcomes))
