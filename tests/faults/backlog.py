"""dispatch is stopped while demands come: they queue, memory stays bounded, and all drains once it is back.

    python -m tests.faults.backlog --demands 50000 [--posters 40] [--broker-away] [--folder DIR]

Ends with figures, or an AssertionError where a demand is lost, doubled, or a process grew beyond its bound.
`--broker-away` kills RabbitMQ meanwhile too, so that all of it waits in intake's own tables.
"""

import argparse
import asyncio
import re
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx

from tests.faults import checks
from tests.faults.repairs import PROPERTY, ServiceClients
from tests.support import servers
from tests.support.processes import Processes, ServiceProcess, open_client
from tests.support.properties import write_property
from tests.support.rabbitmq import RabbitMQ
from tests.support.stores import fetch_rows, fresh_database
from tests.support.waiting import eventually

SERVICES = ("intake", "dispatch", "survey", "kpi")
BATCH = 500
MEMORY_BOUND = 256.0
"""Megabytes that no process may ever have had resident."""
_HEADERS = {"Content-Type": "application/cloudevents-batch+json"}
_COUNTS = """
SELECT (SELECT count(*) FROM intake.events WHERE demand IS NOT NULL) AS accepted,
       (SELECT count(*) FROM intake.events WHERE republish_at IS NOT NULL) AS unopened,
       (SELECT coalesce(sum(events), 0) FROM intake.unsent) AS unsent,
       (SELECT count(*) FROM intake.case_states) AS told,
       (SELECT count(*) FROM dispatch.cases) AS cases,
       (SELECT count(*) FROM kpi.cases) AS counted
"""


async def campaign(
    folder: Path, database_url: str, *, demands: int, posters: int, broker_away: bool
) -> dict[str, float]:
    """Queue so many demands for a dispatch that is stopped, then start it; the figures."""
    write_property(folder / "properties", PROPERTY)
    broker = RabbitMQ(folder / "rabbitmq")
    broker.start()
    group = Processes(folder, folder / "properties", database_url=database_url, amqp_url=broker.url)
    try:
        running = {name: group.make(name, GUANJIA_RATE_LIMIT="1000000/second") for name in SERVICES}
        for process in running.values():
            process.launch()
        for process in running.values():
            await asyncio.to_thread(process.wait_ready)
        running["dispatch"].stop()
        if broker_away:
            broker.nodes[0].kill()
        figures = await _queue_and_drain(running, broker, database_url, demands, posters)
        return figures | {f"{name}_mb": peak_megabytes(process) for name, process in running.items()}
    finally:
        group.close()
        broker.stop()


async def _queue_and_drain(
    running: dict[str, ServiceProcess], broker: RabbitMQ, database_url: str, demands: int, posters: int
) -> dict[str, float]:

    async def read_counts() -> dict[str, int]:
        return {name: int(count) for name, count in (await fetch_rows(database_url, _COUNTS))[0].items()}

    started = time.monotonic()
    answers = await post_demands(running["intake"], demands, posters)
    posted = time.monotonic()
    in_broker = broker.nodes[0].alive
    queued = {"accepted": demands, "unopened": demands, "unsent": 0 if in_broker else demands, "told": 0,
              "cases": 0, "counted": 0}  # fmt: skip
    await eventually(read_counts, queued.__eq__, within=60 + demands / 100, every=0.5)
    if not in_broker:
        broker.restart()
    started_again = time.monotonic()
    running["dispatch"].launch()
    await asyncio.to_thread(running["dispatch"].wait_ready, 120)
    drained = {"accepted": demands, "unopened": 0, "unsent": 0, "told": demands, "cases": demands,
               "counted": demands}  # fmt: skip
    await eventually(read_counts, drained.__eq__, within=60 + demands / 20, every=0.5)
    took = time.monotonic() - started_again
    clients = ServiceClients(running)
    await checks.check_dead_letters(clients)
    await clients.close()
    for name, process in running.items():
        assert peak_megabytes(process) <= MEMORY_BOUND, f"{name} had {peak_megabytes(process):.0f} MB"
    return {
        "demands": demands,
        "posted_in_seconds": round(posted - started, 1),
        "refused_with_503": answers[503],
        "unsent_then": queued["unsent"],
        "drained_in_seconds": round(took, 1),
    }


async def post_demands(intake: ServiceProcess, demands: int, posters: int) -> Counter[int]:
    """Post them in batches, so many at a time, each again when the answer says; how often which status."""
    answers: Counter[int] = Counter()
    starts = iter(range(0, demands, BATCH))
    async with open_client(intake) as client, asyncio.TaskGroup() as group:
        for _ in range(posters):
            group.create_task(_post_in_turn(client, starts, demands, answers))
    return answers


async def _post_in_turn(
    client: httpx.AsyncClient, starts: Iterator[int], demands: int, answers: Counter[int]
) -> None:
    for start in starts:
        members = [_make_event(number) for number in range(start, min(start + BATCH, demands))]
        while True:
            reply = await client.post("/v1/events", json=members, headers=_HEADERS, timeout=120)
            answers[reply.status_code] += 1
            if reply.status_code == 200:
                break
            assert reply.status_code in (429, 503), reply.text
            await asyncio.sleep(float(reply.headers["Retry-After"]))
        statuses = Counter(result["status"] for result in reply.json()["results"])
        assert statuses == {"accepted": len(members)}, statuses


def _make_event(number: int) -> dict[str, object]:
    return {
        "specversion": "1.0",
        "type": "guanjia.demand.raised.v1",
        "source": "backlog",
        "id": f"d-{number}",
        "data": {
            "property": PROPERTY,
            "kind": "repair",
            "summary": "The tap in the kitchen drips",
            "location": {"floor": str(number % 30), "unit": f"{number % 3000}"},
            "requester": {"id": f"r-{number % 3000}", "name": "Li", "phone": "13800138000"},
        },
    }


def peak_megabytes(process: ServiceProcess) -> float:
    """The most that a process has ever had resident."""
    assert process.child is not None
    status = Path(f"/proc/{process.child.pid}/status").read_text()
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.M)
    assert found is not None
    return round(int(found[1]) / 1024, 1)


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--demands", type=int, default=50_000)
    parser.add_argument("--posters", type=int, default=40, help=f"batches of {BATCH} posted side by side")
    parser.add_argument("--broker-away", action="store_true", help="RabbitMQ is down too while they come")
    parser.add_argument("--folder", type=Path, help="where logs are kept; without: thrown away")
    args = parser.parse_args()
    servers.hide_settings()
    with tempfile.TemporaryDirectory() as scrap, servers.run_supervisor(), fresh_database() as database_url:
        folder = args.folder or Path(scrap)
        folder.mkdir(parents=True, exist_ok=True)
        work = campaign(
            folder,
            database_url,
            demands=args.demands,
            posters=args.posters,
            broker_away=args.broker_away,
        )
        print(asyncio.run(work))


if __name__ == "__main__":
    main()
