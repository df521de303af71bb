"""Goal 12: the board with two thousand open cases, and two hundred who watch its stream.

First paint is that of a browser that has never been there. A change is timed from when the action is sent
until each watcher has it; what it costs a watcher is what dispatch used with all of them less what it used
with one.
BENCH_OPEN_CASES and BENCH_WATCHERS change the size.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench import aims, product_tables, published
from bench.cpu_meter import CLIENT, CpuMeter
from bench.dispatcher_load import DispatcherLoad
from bench.environment import RoundEnvironment, RunningProduct, round_environment, run_product
from bench.http_client import HttpConnection
from bench.payload import demand_json
from bench.peers.workload import percentiles
from bench.query_costs import post_all, sign_in
from bench.report import Report
from bench.rounds import wait_for_calm
from bench.sizes import count_rounds, open_cases, round_seconds, watcher_count
from bench.watchers import Watcher, watch_stream
from bench.wrk import BenchFailed
from tests.support import browser, ready
from tests.support.processes import KEY
from tests.support.waiting import WaitTimedOut, eventually

SECONDS, RATE, PAINTS = 10.0, 20, 5
_ACCEPT = b'{"action":"accept","data":{}}'
_FIRST_PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime / 1000"


@dataclass
class WatchedChanges:
    """A phase: so many changes, all seen by all; ms until watchers saw them; seconds of dispatch's CPU."""

    changes: int
    p50: float
    p99: float
    cpu: float
    client_cpu: float


async def measure(report: Report) -> None:
    """Fill the board, paint it, change cases while one and while all watch, in turn."""
    _require_browser()
    with round_environment() as environment, run_product(environment, "intake", "dispatch") as running:
        cases = iter(await _open_cases(environment, running))
        few, many = [], []
        for _ in range(count_rounds()):
            await wait_for_calm()
            few.append(await _watch_changes(running, 1, cases))
            many.append(await _watch_changes(running, watcher_count(), cases))
        async with watch_stream(running.port("dispatch"), watcher_count()):
            paints = await _paint_board(running)
    board = f"board of {open_cases():,} open cases"
    what = f"{board}: first paint, a browser that comes for the first time, {watcher_count()} others watch"
    report.judge(aims.BOARD_PAINT, what, paints)
    _judge_changes(report, few, many)


def _require_browser() -> None:
    """Install a Chromium where it is missing and that may be done. BenchFailed where it can't."""
    if not browser.find_chromium() and not ready.install([ready.BROWSER]):
        raise BenchFailed("a Chromium is needed to paint the board: install it")


async def _open_cases(environment: RoundEnvironment, running: RunningProduct) -> list[str]:
    """Raise demands; their cases, once each is given to somebody."""
    requests = [("/v1/demands", demand_json(number).encode()) for number in range(open_cases())]
    await post_all(running.port("intake"), requests, 16)

    async def count_open() -> float:
        samples = await published.read_samples(running.serving["dispatch"], "guanjia_cases_open")
        return sum(count for labels, count in samples.items() if product_tables.OPEN_STATE in labels)

    await eventually(count_open, lambda count: count == open_cases(), within=120, every=0.25)
    return [case for case, _ in await product_tables.list_assigned(environment.database_url, "REQ-")]


async def _watch_changes(running: RunningProduct, count: int, cases: Iterator[str]) -> WatchedChanges:
    """Accept cases at a steady rate while so many watch. BenchFailed where one of them misses a change."""
    changes = [next(cases) for _ in range(min(int(RATE * round_seconds(SECONDS)), open_cases() // 6))]
    connection = await DispatcherLoad(running).connect("dispatch")
    async with watch_stream(running.port("dispatch"), count) as watchers:
        with CpuMeter(running.pids) as meter:
            sent_at = await _accept_steadily(connection, changes)
            await _wait_until_seen(watchers, changes)
        durations = list(_list_durations(watchers, sent_at))
    connection.close()
    latencies = percentiles(durations)
    return WatchedChanges(
        len(changes), latencies["p50"], latencies["p99"], meter.cpu["dispatch"], meter.cpu[CLIENT]
    )


async def _accept_steadily(connection: HttpConnection, cases: Sequence[str]) -> dict[str, float]:
    """When the acceptance of each case was sent."""
    started, sent_at = time.perf_counter(), {}
    for number, case in enumerate(cases):
        await asyncio.sleep(max(0.0, started + number / RATE - time.perf_counter()))
        sent_at[case] = time.perf_counter()
        await connection.post(f"/v1/cases/{case}/actions", _ACCEPT, f"{case}/accept")
    return sent_at


async def _wait_until_seen(watchers: Sequence[Watcher], cases: Sequence[str]) -> None:
    async def count_seen() -> set[int]:
        return {len(watcher.came_at) for watcher in watchers}

    try:
        await eventually(count_seen, lambda seen: seen == {len(cases)}, within=30)
    except WaitTimedOut as timeout:
        raise BenchFailed(
            f"{len(cases)} changes for each of {len(watchers)} watchers: {timeout}"
        ) from timeout


def _list_durations(watchers: Sequence[Watcher], sent_at: dict[str, float]) -> Iterator[float]:
    """Seconds from the sending of each change until each watcher had it."""
    names = watchers[0].names or {}
    for case, at in sent_at.items():
        yield from (watcher.came_at[names[case, "accepted"]] - at for watcher in watchers)


async def _paint_board(running: RunningProduct) -> list[float]:
    """Seconds until something of the board shows, each time in a browser with nothing kept."""
    origin = running.serving["dispatch"].url
    name, _, value = sign_in(running.port("dispatch"), KEY)["Cookie"].partition("=")
    paints = []
    async with browser.open_browser() as chromium:
        for _ in range(PAINTS):
            context = await chromium.new_context(viewport={"width": 1440, "height": 900})
            await context.add_cookies([{"name": name, "value": value, "url": origin}])
            page = await context.new_page()
            await page.goto(f"{origin}/", wait_until="load")
            await page.locator("[data-case]").first.wait_for()
            paints.append(float(await page.evaluate(_FIRST_PAINT)))
            await context.close()
    return paints


def _judge_changes(report: Report, few: Sequence[WatchedChanges], many: Sequence[WatchedChanges]) -> None:
    changes = sum(phase.changes for phase in many)
    what = f"{changes:,} changes at {RATE}/s, each seen by each of {watcher_count()} watchers"
    middle = (
        f"p50 {max(phase.p50 for phase in many):.0f} ms; one watcher p99 {max(p.p99 for p in few):.0f} ms"
    )
    report.judge(aims.BOARD_LATENCY, f"{what}: p99", [phase.p99 for phase in many], beside=middle)
    costs = [
        1e6 * (all_.cpu / all_.changes - one.cpu / one.changes) / (watcher_count() - 1)
        for one, all_ in zip(few, many, strict=True)
    ]
    client = 1e6 * sum(phase.client_cpu for phase in many) / changes / watcher_count()
    what = f"{what}: dispatch's CPU of a change and watcher"
    report.judge(aims.BOARD_CPU, what, costs, cpu=f"client {client:.1f} us")
