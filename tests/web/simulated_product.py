"""A simulated property to look at: made from a seed, then served for real with its clock standing still."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from guanjia.http_server import open_socket
from guanjia.process import SERVICES, Process
from guanjia.simulation.simulated_property import PROPERTY
from guanjia.simulation.span import simulate_span
from shared.clock import ManualClock
from shared.properties.property import Property
from shared.settings import Settings
from tests.support.children import free_port
from tests.support.processes import KEY
from tests.support.waiting import eventually


@dataclass(frozen=True)
class SimulatedProduct:
    """The running services after a simulated span, and what a visitor asks of them."""

    process: Process
    http: httpx.AsyncClient

    @property
    def origin(self) -> str:
        """Where they are served."""
        return self.process.settings.origin

    @property
    def prop(self) -> Property:
        """The simulated property."""
        return self.process.services[0].properties[PROPERTY]

    async def get(self, path: str, **query: str | int) -> Any:
        """What the API tells an administrator."""
        reply = await self.http.get(path, params=query)
        reply.raise_for_status()
        return reply.json()

    def make_sign_in_link(self, person: str, language: str) -> str:
        """A sign-in link of somebody who works there, by their own name."""
        staff = self.prop.people_by_id[person]
        name = (staff.name_en or staff.name) if language == "en" else staff.name
        identity, _ = self.process.keyring.issue_key(name, list(staff.roles), [PROPERTY], person)
        return f"{self.origin}/sign-in#{self.process.keyring.issue_sign_in_code(identity)}"


async def simulate_into(folder: Path, seed: int, span: timedelta, until: datetime) -> None:
    """Simulate `span` until `until` in the empty `folder`."""
    async with simulate_span(folder, seed, until - span, until, lambda _: None):
        pass


@asynccontextmanager
async def serve_simulated(folder: Path, at: datetime) -> AsyncIterator[SimulatedProduct]:
    """What was simulated into `folder`, served on a free port; for the services it stays `at`."""
    fields = {"data_dir": folder, "properties_dir": folder / "properties", "database_url": "", "amqp_url": "",
            "bootstrap_key": KEY, "host": "127.0.0.1", "port": free_port(), "public_url": ""}  # fmt: skip
    process = Process(list(SERVICES), Settings.model_validate(fields), ManualClock(at))
    config = uvicorn.Config(process.app(), log_level="warning", lifespan="off", timeout_graceful_shutdown=1)
    server, listener = uvicorn.Server(config), open_socket(process.settings)
    await process.start()
    serving = asyncio.create_task(server.serve([listener]))
    try:
        await eventually(lambda: _started(server))
        headers = {"Authorization": f"Bearer {KEY}"}
        origin = process.settings.origin
        async with httpx.AsyncClient(base_url=origin, headers=headers, timeout=20, trust_env=False) as http:
            yield SimulatedProduct(process, http)
    finally:
        server.should_exit = True
        await serving
        await process.stop()


async def _started(server: uvicorn.Server) -> bool:
    return server.started
