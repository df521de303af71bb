"""Goal 2: batches of a hundred events over HTTP, durable before the answer."""

from bench import intake_http
from bench.report import Report
from bench.results import format_cpu, format_memory, format_ratio, pick_median_outcome
from bench.rounds import run_interleaved
from bench.wrk import require_wrk


async def measure(report: Report) -> None:
    """Batches beside the floor's single demands."""
    require_wrk()
    outcomes = await run_interleaved(
        {"floor": intake_http.measure_floor, "batches": intake_http.measure_batches}
    )
    floor, ours = pick_median_outcome(outcomes["floor"]), pick_median_outcome(outcomes["batches"])
    report.row(2, "single demands, floor", f"{floor.rate:,.0f}/s", cpu=format_cpu(floor))
    report.row(
        2,
        f"intake over HTTP, batches of {intake_http.BATCH}, {intake_http.BATCHERS} connections, "
        f"p99 {ours.p99:.0f} ms; "
        f"published too: {ours.extra['through']:,.0f}/s",
        f"{ours.rate:,.0f} events/s",
        cpu=format_cpu(ours),
        memory=format_memory(ours),
        beside=f"floor {format_ratio(ours, floor)}",
        aim="1.33 x floor",
    )
    report.row(2, "noise: cores that something else used, at most", f"{max(floor.others, ours.others):.2f}")
