"""Goals 1 and 3: single demands over HTTP, durable before the 202 and published in the same run."""

from collections.abc import Sequence

from bench import aims, intake_http
from bench.report import Report
from bench.results import (
    Outcome,
    format_cpu,
    format_cpu_ratio,
    format_memory,
    format_noise,
    keep_calm,
    list_ratios,
    pick_median_outcome,
)
from bench.rounds import run_interleaved
from bench.sizes import has_peers
from bench.wrk import require_wrk

BASELINES = {"floor": "floor: bare ASGI, one commit for all that wait", "orm": "FastAPI, ORM, a commit each"}


async def measure(report: Report) -> None:
    """intake beside the floor and FastAPI with an ORM."""
    require_wrk()
    contenders = {"floor": intake_http.measure_floor, "intake": intake_http.measure_single}
    if has_peers():
        contenders["orm"] = intake_http.measure_orm
    outcomes = await run_interleaved(contenders)
    for name in BASELINES.keys() & outcomes.keys():
        outcome = pick_median_outcome(outcomes[name])
        report.row(1, f"single demands over HTTP, {BASELINES[name]}", f"{outcome.rate:,.0f}/s",
                   cpu=format_cpu(outcome), memory=format_memory(outcome))  # fmt: skip
    _judge_intake(report, outcomes["intake"], outcomes["floor"])
    if "orm" in outcomes:
        ratios = list_ratios(outcomes["intake"], outcomes["orm"])
        orm, ours = (pick_median_outcome(outcomes[name]) for name in ("orm", "intake"))
        what = "the same beside FastAPI with an ORM"
        report.judge(aims.INTAKE_BESIDE_ORM, what, ratios, beside=format_cpu_ratio(ours, orm))
    report.row(1, *format_noise(outcomes))


def _judge_intake(report: Report, rounds: Sequence[Outcome], floor: Sequence[Outcome]) -> None:
    ours = pick_median_outcome(rounds)
    report.judge(
        aims.INTAKE_BESIDE_FLOOR,
        f"single demands over HTTP, accepted and published, everything on, {intake_http.CONNECTIONS} "
        f"connections: {ours.rate:,.0f}/s; accepted {ours.extra['accepted']:,.0f}/s, p99 {ours.p99:.0f} ms",
        list_ratios(rounds, floor),
        cpu=format_cpu(ours),
        memory=format_memory(ours),
        beside=format_cpu_ratio(ours, pick_median_outcome(floor)),
    )
    ages = [outcome.extra["oldest"] for outcome in rounds]
    lag = f"empty {ours.extra['lag']:.2f} s after the last answer"
    report.judge(aims.INTAKE_OUTBOX_AGE, f"outbox at its oldest meanwhile; {lag}", ages)
    costs = [outcome.cost for outcome in keep_calm(rounds)]
    report.judge(
        aims.DEMAND_CPU, "CPU of a demand accepted and published, all processes", costs, cpu=format_cpu(ours)
    )
