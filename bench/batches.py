"""Goal 2: batches of a hundred events over HTTP, durable before the answer."""

from bench import intake_http
from bench.report import Report
from bench.results import ratio, typical, written_cpu, written_memory
from bench.rounds import interleaved
from bench.wrk import require_wrk


async def measure(report: Report) -> None:
    """Batches beside the floor's single demands."""
    require_wrk()
    found = await interleaved({"floor": intake_http.floor, "batches": intake_http.batches})
    floor, ours = typical(found["floor"]), typical(found["batches"])
    report.row(2, "single demands, floor", f"{floor.rate:,.0f}/s", cpu=written_cpu(floor))
    report.row(
        2,
        f"intake over HTTP, batches of {intake_http.BATCH}, {intake_http.BATCHERS} connections, "
        f"p99 {ours.p99:.0f} ms; "
        f"published too: {ours.more['through']:,.0f}/s",
        f"{ours.rate:,.0f} events/s",
        cpu=written_cpu(ours),
        memory=written_memory(ours),
        beside=f"floor {ratio(ours, floor)}",
        aim="1.33 x floor",
    )
    report.row(2, "noise: cores that something else used, at most", f"{max(floor.others, ours.others):.2f}")
