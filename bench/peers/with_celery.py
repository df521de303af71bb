"""Celery on RabbitMQ: a case is a row of tasks, each a transition in PostgreSQL that sends the next.

What it does best with: prefork, three workers on two cores, a durable classic queue. (A `chain` is slower:
it carries all tasks to come in every message; so is a quorum queue.)
"""

import argparse
import asyncio
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import asyncpg
from kombu import Connection, Consumer, Queue

from bench.payload import demand_json
from bench.peers import business, workload
from bench.peers.celery_app import AMQP_URL, DONE, step

WORKERS = 3
_done: dict[str, asyncio.Future[None]] = {}


def _start_worker() -> "subprocess.Popen[bytes]":
    argv = [sys.executable, "-m", "celery", "-A", "bench.peers.celery_app", "worker", "-P", "prefork"]
    argv += ["-c", str(WORKERS), "-l", "ERROR"]
    argv += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=sys.stderr)


def _listen_for_done(loop: asyncio.AbstractEventLoop) -> None:
    """Hear which cases are through, in a thread of its own."""

    def note_done(body: Any, message: Any) -> None:
        message.ack()
        case = body if isinstance(body, str) else bytes(body).decode()
        loop.call_soon_threadsafe(_done.pop(case).set_result, None)

    connection = Connection(AMQP_URL)
    with Consumer(connection.channel(), [Queue(DONE, no_declare=True)], callbacks=[note_done], accept=None):
        while True:
            try:
                connection.drain_events(timeout=1)
            except TimeoutError:
                continue


async def main(options: argparse.Namespace) -> None:
    """Run courses."""
    database = await asyncpg.connect(workload.database_url())
    await database.execute(business.DDL)
    Connection(AMQP_URL).channel().queue_declare(DONE, durable=True, auto_delete=False)
    worker, loop, demand = _start_worker(), asyncio.get_running_loop(), demand_json(1)
    threading.Thread(target=_listen_for_done, args=[loop], daemon=True).start()
    sender = ThreadPoolExecutor(1)

    def send(case: str) -> None:
        step.apply_async((case, 0, options.steps, demand))

    async def run_repair(case: str) -> None:
        _done[case] = finished = loop.create_future()
        await loop.run_in_executor(sender, send, case)
        await finished

    try:
        await workload.run_workload(run_repair, options)
    finally:
        worker.terminate()
        worker.wait(20)


if __name__ == "__main__":
    asyncio.run(main(workload.parse_options()))
    workload.exit_now()
