"""The installations that the stories are told on: started once, each story in a property of its own."""

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.journeys.story import Story, open_story, start_services
from tests.support.processes import Processes, ServiceProcess
from tests.support.properties import write_property
from tests.support.stores import fresh_store, fresh_vhost

PROPERTIES = [f"tower-{number}" for number in range(20)]


@pytest.fixture(scope="package", params=["embedded in one process", "apart on RabbitMQ and PostgreSQL"])
def installation(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, ServiceProcess]]:
    """Running services of each kind."""
    folder: Path = tmp_path_factory.mktemp("journeys")
    for name in PROPERTIES:
        write_property(folder / "properties", name)
    apart = request.param.startswith("apart")
    with ExitStack() as stack:
        store = stack.enter_context(fresh_store("postgresql" if apart else "sqlite", folder / "store"))
        amqp = stack.enter_context(fresh_vhost()) if apart else ""
        processes = Processes(folder, folder / "properties", database_url=store.url, amqp_url=amqp)
        stack.callback(processes.close)
        yield start_services(processes, apart)


@pytest.fixture(scope="package")
def unused_properties() -> Iterator[list[str]]:
    """Names that no story has used yet."""
    yield list(PROPERTIES)


@pytest.fixture
async def story(
    installation: dict[str, ServiceProcess], unused_properties: list[str]
) -> AsyncIterator[Story]:
    """A story on a running installation, in a property of its own."""
    async with open_story(installation, unused_properties.pop()) as story:
        yield story
