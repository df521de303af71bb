"""Goal 2: batches of a hundred events over HTTP, durable before the answer and published in the same run."""

from bench import aims, intake_http
from bench.report import Report
from bench.results import (
    format_cpu,
    format_cpu_ratio,
    format_memory,
    format_noise,
    list_ratios,
    pick_median_outcome,
)
from bench.rounds import run_interleaved
from bench.wrk import require_wrk


async def measure(report: Report) -> None:
    """Batches beside the floor's single demands."""
    require_wrk()
    outcomes = await run_interleaved(
        {"floor": intake_http.measure_floor, "batches": intake_http.measure_batches}
    )
    floor, ours = pick_median_outcome(outcomes["floor"]), pick_median_outcome(outcomes["batches"])
    report.row(2, "single demands over HTTP, floor", f"{floor.rate:,.0f}/s", cpu=format_cpu(floor))
    report.judge(
        aims.BATCHES_BESIDE_FLOOR,
        f"batches of {intake_http.BATCH}, accepted and published, {intake_http.BATCHERS} connections: "
        f"{ours.rate:,.0f} events/s; accepted {ours.extra['accepted']:,.0f}/s, p99 {ours.p99:.0f} ms",
        list_ratios(outcomes["batches"], outcomes["floor"]),
        cpu=format_cpu(ours),
        memory=format_memory(ours),
        beside=format_cpu_ratio(ours, floor),
    )
    report.judge(
        aims.BATCHES_OUTBOX_AGE,
        f"outbox at its oldest meanwhile; empty {ours.extra['lag']:.2f} s after the last answer",
        [outcome.extra["oldest"] for outcome in outcomes["batches"]],
    )
    report.row(2, *format_noise(outcomes))
