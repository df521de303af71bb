"""Goals 1 and 3: single demands over HTTP, durable before the 202; and published too, as they come."""

from bench import intake_http
from bench.report import Report
from bench.results import format_cpu, format_memory, format_ratio, pick_median_outcome
from bench.rounds import run_interleaved
from bench.wrk import require_wrk


async def measure(report: Report) -> None:
    """intake beside the floor and FastAPI with an ORM."""
    require_wrk()
    outcomes = await run_interleaved(
        {
            "floor": intake_http.measure_floor,
            "orm": intake_http.measure_orm,
            "intake": intake_http.measure_single,
        }
    )
    floor, orm, ours = (pick_median_outcome(outcomes[name]) for name in ("floor", "orm", "intake"))
    for name, outcome in (("floor: bare ASGI, group commit", floor), ("FastAPI, ORM, a commit each", orm)):
        report.row(
            1, f"intake over HTTP, {name}", f"{outcome.rate:,.0f}/s", cpu=format_cpu(outcome),
            memory=format_memory(outcome),
        )  # fmt: skip
    report.row(
        1,
        f"intake over HTTP, single, {intake_http.CONNECTIONS} connections, p99 {ours.p99:.0f} ms",
        f"{ours.rate:,.0f}/s",
        cpu=format_cpu(ours),
        memory=format_memory(ours),
        beside=f"floor {format_ratio(ours, floor)}, ORM {format_ratio(ours, orm)}",
        aim="0.6 x floor, 10 x ORM",
    )
    through, oldest = ours.extra["through"], max(each.extra["oldest"] for each in outcomes["intake"])
    report.row(
        3,
        f"accepted and published; outbox empty {ours.extra['lag']:.2f} s after the last, never older than "
        f"{oldest:.2f} s",
        f"{through:,.0f}/s",
        beside=f"{through / floor.rate:.2f} x floor",
        aim="0.35 x floor, outbox under 1 s",
    )
    others = max(outcome.others for outcome in (floor, orm, ours))
    report.row(1, "noise: cores that something else used, at most", f"{others:.2f}")
