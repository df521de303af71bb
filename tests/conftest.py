"""What every test may ask for; servers are started when the first test needs them."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import MetaData
from sqlalchemy.schema import CreateSchema

from shared.clock import ManualClock
from shared.database.engine import Database
from shared.telemetry import configure_logging
from tests.support import servers
from tests.support.processes import Processes
from tests.support.properties import write_property
from tests.support.stores import Store, fresh_store, fresh_vhost

MakeDatabase = Callable[[str, MetaData], Awaitable[Database]]
STACK = pytest.StashKey[contextlib.ExitStack]()


def pytest_configure(config: pytest.Config) -> None:
    servers.hide_settings()
    configure_logging("WARNING")
    stack = contextlib.ExitStack()
    stack.enter_context(servers.run_supervisor())
    config.stash[STACK] = stack


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[STACK].close()


@pytest.fixture
def clock() -> ManualClock:
    """A clock that a test turns by hand; it starts on Monday 2026-11-23 at 01:00 UTC."""
    return ManualClock(datetime(2026, 11, 23, 1, tzinfo=UTC))


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty place for data, once of each kind."""
    with fresh_store(request.param, tmp_path / "data") as place:
        yield place


@pytest.fixture
async def database(store: Store) -> AsyncIterator[MakeDatabase]:
    """Makes a service's database with the tables of its metadata: `db = await database("kpi", metadata)`."""
    made: list[Database] = []

    async def make(service: str, metadata: MetaData) -> Database:
        db = Database(service, store.url, store.folder)
        made.append(db)
        async with db.transaction() as connection:
            if db.is_postgres:
                await connection.execute(CreateSchema(service, if_not_exists=True))
            await connection.run_sync(metadata.create_all)
        return db

    yield make
    for db in made:
        await db.dispose()


@pytest.fixture(params=["embedded", "rabbitmq"])
def amqp_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """What GUANJIA_AMQP_URL says: empty, then an empty virtual host of a real RabbitMQ."""
    if request.param == "embedded":
        yield ""
        return
    with fresh_vhost() as url:
        yield url


@pytest.fixture
def properties_folder(tmp_path: Path) -> Path:
    """A folder of properties with one, `tower`, whose people can do every kind of work."""
    folder = tmp_path / "properties"
    write_property(folder, "tower")
    return folder


@pytest.fixture
def processes(tmp_path: Path, properties_folder: Path) -> Iterator[Processes]:
    """Starts real embedded services; on other servers: `Processes(..., database_url=, amqp_url=)`."""
    group = Processes(tmp_path, properties_folder)
    try:
        yield group
    finally:
        group.close()
