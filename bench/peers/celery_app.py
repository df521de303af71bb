"""The Celery side of `with_celery`: late acknowledgement, persistent messages with confirms."""

import os
import re
from typing import Any

import psycopg
from celery import Celery
from kombu import Connection, Exchange, Producer, Queue

from bench.peers import business

QUEUE, DONE = "repairs", "repairs.done"
AMQP_URL = os.environ.get("BENCH_AMQP_URL", "")

app = Celery("repairs", broker=AMQP_URL, backend=None)
app.conf.update(
    task_acks_late=True,
    task_ignore_result=True,
    task_default_delivery_mode=2,
    task_default_queue=QUEUE,
    task_default_exchange=QUEUE,
    task_default_routing_key=QUEUE,
    task_queues=[Queue(QUEUE, Exchange(QUEUE), QUEUE, durable=True)],
    broker_transport_options={"confirm_publish": True},
    broker_connection_retry_on_startup=True,
    worker_prefetch_multiplier=16,
    worker_enable_remote_control=False,
    worker_send_task_events=False,
    worker_hijack_root_logger=False,
)
_connections: dict[str, Any] = {}


def _connection() -> Any:
    """This process's connection to the database."""
    if "database" not in _connections:
        url = os.environ["BENCH_DATABASE_URL"]
        _connections["database"] = psycopg.connect(url, autocommit=True, prepare_threshold=0)
    return _connections["database"]


def _name_parameters(statement: str) -> str:
    """`statement` with psycopg's names for its values."""
    return re.sub(r"\$(\d)", r"%(v\1)s", statement)


_STATEMENTS = [_name_parameters(business.get_statement(step)) for step in range(business.STEPS)]


@app.task(name="step", acks_late=True)
def step(case: str, number: int, steps: int, demand: str) -> None:
    """One transition, and the next task; the last tells that the case is through."""
    parameters = {f"v{at}": value for at, value in enumerate(business.make_values(case, number, demand), 1)}
    if _connection().execute(_STATEMENTS[number], parameters, prepare=True).fetchone() is None:
        raise RuntimeError(f"step {number} of {case} was taken before")
    if number + 1 < steps:
        step.apply_async((case, number + 1, steps, demand))
    else:
        _publish_done(case)


def _publish_done(case: str) -> None:
    if "producer" not in _connections:
        _connections["producer"] = Producer(Connection(AMQP_URL).channel())
    _connections["producer"].publish(
        case, routing_key=DONE, exchange="", delivery_mode=1, serializer="raw", content_type="text/plain",
        content_encoding="utf-8",
    )  # fmt: skip
