"""The installations that the stories are told on."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.journeys.story import Story, installations, told
from tests.support.processes import Processes
from tests.support.stores import fresh_store, fresh_vhost


@pytest.fixture(params=list(installations()))
async def story(request: pytest.FixtureRequest, tmp_path: Path, properties_folder: Path) -> AsyncIterator[Story]:
    """A fresh installation of each kind."""
    if request.param.startswith("embedded"):
        processes = Processes(tmp_path, properties_folder)
        try:
            async with told(processes, apart=False) as found:
                yield found
        finally:
            processes.close()
        return
    with fresh_store("postgresql", tmp_path / "store") as store, fresh_vhost() as amqp:
        processes = Processes(tmp_path, properties_folder, database_url=store.url, amqp_url=amqp)
        try:
            async with told(processes, apart=True) as found:
                yield found
        finally:
            processes.close()
