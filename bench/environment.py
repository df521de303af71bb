"""Where contenders run: a PostgreSQL and a RabbitMQ of the bench's own, and guanjia's processes.

Each contender's round gets an empty database and an empty virtual host, so that none pays for another's
leftovers.
"""

import contextlib
import itertools
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.postgres import Postgres
from tests.support.processes import Processes, ServiceProcess
from tests.support.properties import write_property
from tests.support.rabbitmq import RabbitMQ
from tests.support.stores import fresh_database, fresh_vhost

SERVICES = ("intake", "dispatch", "survey", "kpi")
_SERVER_PIDS: dict[str, int] = {}


@contextlib.contextmanager
def run_servers() -> Iterator[None]:
    """Both servers running; `fresh_database` and `fresh_vhost` are theirs.

    Unlike those of the tests they survive a power cut: fsync and full page writes are on, as by default.
    """
    with tempfile.TemporaryDirectory(prefix="guanjia-bench-") as place, contextlib.ExitStack() as stack:
        folder = Path(place)
        folder.chmod(0o755)  # the database's own account must get through
        postgres = Postgres(folder / "postgres", "fsync=on", "full_page_writes=on")
        rabbitmq = RabbitMQ(folder / "rabbitmq")
        stack.callback(postgres.stop)
        stack.callback(rabbitmq.stop)
        postgres.start()
        rabbitmq.start()
        assert postgres.child and rabbitmq.nodes[0].child
        _SERVER_PIDS.update(postgres=postgres.child.pid, rabbitmq=rabbitmq.nodes[0].child.pid)
        os.environ["GUANJIA_TEST_DATABASE_URL"] = postgres.url
        os.environ["GUANJIA_TEST_AMQP_URL"] = rabbitmq.url
        os.environ["GUANJIA_TEST_RABBITMQ_API"] = rabbitmq.api
        yield


def list_server_pids() -> dict[str, list[int]]:
    """The two servers' processes, for a CpuMeter."""
    return {name: [pid] for name, pid in _SERVER_PIDS.items()}


@dataclass(frozen=True)
class RoundEnvironment:
    """What a contender has for itself in one round."""

    folder: Path
    database_url: str
    amqp_url: str


@contextlib.contextmanager
def round_environment() -> Iterator[RoundEnvironment]:
    """An empty folder, database and virtual host."""
    with (
        tempfile.TemporaryDirectory(prefix="guanjia-bench-") as folder,
        fresh_database() as database_url,
        fresh_vhost() as amqp_url,
    ):
        yield RoundEnvironment(Path(folder), database_url, amqp_url)


class RunningProduct:
    """guanjia's processes, the copies of each service; `all` is one that holds all four."""

    def __init__(self, copies: dict[str, list[ServiceProcess]]) -> None:
        self.copies = copies
        self._turns = {name: itertools.cycle(serving) for name, serving in copies.items()}

    @property
    def serving(self) -> dict[str, ServiceProcess]:
        """The first copy of each."""
        return {name: copies[0] for name, copies in self.copies.items()}

    def port(self, service: str) -> int:
        """Where that service listens, one copy after the other, as a proxy would share connections out."""
        return next(self._turns[service if service in self._turns else "all"]).port

    @property
    def pids(self) -> dict[str, list[int]]:
        """The processes of each, for a CpuMeter."""
        return {
            name: [serving.child.pid for serving in copies if serving.child]
            for name, copies in self.copies.items()
        }


@contextlib.contextmanager
def run_product(
    environment: RoundEnvironment,
    *services: str,
    copies: int = 1,
    properties: Mapping[str, str] | None = None,
) -> Iterator[RunningProduct]:
    """Those services running and ready on `environment`, each copy a process of its own; killed afterwards.

    `properties`: the text of each property's file; one of twenty engineers where there are none.
    """
    for name, text in (properties or {"tower": STAFFED_PROPERTY}).items():
        write_property(environment.folder / "properties", name, text)
    processes = Processes(
        environment.folder,
        environment.folder / "properties",
        database_url=environment.database_url,
        amqp_url=environment.amqp_url,
    )
    try:
        by_name: dict[str, list[ServiceProcess]] = {
            name: [processes.make(name, GUANJIA_RATE_LIMIT="10000000/second") for _ in range(copies)]
            for name in services
        }
        for serving in processes.started:
            serving.launch()
        for serving in processes.started:
            serving.wait_ready()
        yield RunningProduct(by_name)
    finally:
        processes.close()


_PERSON_TOML = '[[people]]\nid = "{id}"\nname = "{id}"\nroles = ["{role}"]\nskills = ["*"]\n'
STAFFED_PROPERTY = (
    'name = "Tower"\ntimezone = "Asia/Shanghai"\n\n'
    + "\n".join(_PERSON_TOML.format(id=f"engineer-{number}", role="engineer") for number in range(20))
    + "\n".join(_PERSON_TOML.format(id=f"quality-{number}", role="quality") for number in range(2))
)
"""A property with twenty engineers on shift."""
