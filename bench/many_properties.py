"""Goal 7: kpi with two hundred properties: how soon an accepted fact shows, and what it costs when idle.

A general incident is accepted by intake over HTTP; it shows when the gauge of its property at kpi's
`/metrics` has counted it. The clock runs from before the request; a scrape is asked for ten times a second,
more often it would be what is measured.
"""

import asyncio
import statistics
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import chain

import msgspec

from bench import aims
from bench.cpu_meter import CpuMeter
from bench.embedded import make_properties
from bench.environment import RunningProduct, round_environment, run_product
from bench.http_client import HttpConnection
from bench.report import Report, format_spread
from bench.rounds import run_interleaved
from bench.sizes import count_rounds, property_count, round_seconds, settling_seconds
from tests.support.waiting import eventually

MANY = 200
FACTS = 6
_CLOCK_TICK = 1.0
"""Milliseconds a second: less than that is not told from nothing."""
_SHOWN = 'guanjia_kpi_numerator{kpi="general_incident",property="%s",window="year"}'


@dataclass
class PropertiesFigures:
    """Milliseconds of kpi's CPU a second when idle; the seconds until each of some facts showed."""

    idle: float
    shown: list[float]


async def measure_properties(count: int) -> PropertiesFigures:
    """A round with so many properties: idle, then facts at different ones, one after the other."""
    properties = make_properties(count)
    with (
        round_environment() as environment,
        run_product(environment, "intake", "kpi", properties=properties) as running,
    ):
        await asyncio.sleep(settling_seconds())
        with CpuMeter(running.pids) as meter:
            await asyncio.sleep(round_seconds(30.0))
        names = list(properties)[:: max(1, count // FACTS)]
        shown = [await _post_and_wait(running, name) for name in names]
    return PropertiesFigures(1000 * meter.cpu["kpi"] / meter.wall, shown)


async def _post_and_wait(running: RunningProduct, name: str) -> float:
    intake, kpi = [await HttpConnection.open(running.port(service)) for service in ("intake", "kpi")]
    sample = (_SHOWN % name).encode()

    async def read_gauge() -> bytes:
        rest = (await kpi.get("/metrics")).partition(sample)[2]
        return rest.partition(b"\n")[0].strip()

    started = time.perf_counter()
    await intake.post("/v1/events", _incident_json(name))
    await eventually(read_gauge, lambda value: value == b"1.0", within=120, every=0.1)
    intake.close()
    kpi.close()
    return time.perf_counter() - started


def _incident_json(name: str) -> bytes:
    now = datetime.now(UTC).isoformat()
    data = {"property": name, "incident": f"i-{name}", "severity": "general", "responsible": True}
    event = {
        "specversion": "1.0",
        "id": f"incident-{name}",
        "source": "bench/app",
        "type": "guanjia.incident.recorded.v1",
        "time": now,
        "data": data | {"occurred_at": now},
    }
    return b"[" + msgspec.json.encode(event) + b"]"


async def measure(report: Report) -> None:
    """One property and many, in turn."""
    many = property_count(MANY)
    rounds = await run_interleaved(
        {"one": partial(measure_properties, 1), "many": partial(measure_properties, many)}, count_rounds(2)
    )
    one = format_spread([figures.idle for figures in rounds["one"]], "ms a second")
    all_ = format_spread([figures.idle for figures in rounds["many"]], "ms a second")
    pairs = zip(rounds["one"], rounds["many"], strict=True)
    ratios = [more.idle / max(less.idle, _CLOCK_TICK) for less, more in pairs]
    what = f"kpi's CPU when idle, properties: {many}"
    report.judge(aims.IDLE_BESIDE_ONE, what, ratios, beside=f"{all_}; with one {one}")
    shown = [figures.shown for figures in rounds["many"]]
    middle = f"the median {statistics.median(chain.from_iterable(shown)):.2f} s"
    what = f"an accepted fact shows in kpi's figures, properties: {many}; the latest of {len(shown[0])}"
    report.judge(aims.FACT_SHOWN, what, [max(durations) for durations in shown], beside=middle)
