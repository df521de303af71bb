"""One service on its database and the embedded bus, without background work: a test delivers events."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import Table, select

from guanjia.process import Process
from shared.clock import ManualClock
from shared.messages.cloudevents import Event, encode
from shared.messaging.bus import Delivery
from shared.service import Service
from shared.settings import Settings
from tests.contract.samples import NOW
from tests.support.stores import Store


class ServiceDriver:
    """A service and how a test talks to it."""

    def __init__(self, process: Process, http: httpx.AsyncClient) -> None:
        self.process, self.http = process, http
        self.service: Service = process.services[0]

    async def deliver(self, queue: str, *bodies: Event | bytes) -> None:
        """Deliver one batch."""
        raw = [body if isinstance(body, bytes) else encode(body) for body in bodies]
        await self.service.consumers()[queue]([Delivery(queue=queue, body=body) for body in raw])

    async def rows(self, table: Table) -> list[dict[str, Any]]:
        """All rows of a table."""
        async with self.service.database.snapshot() as connection:
            return [dict(row) for row in (await connection.execute(select(table))).mappings()]

    async def state(self) -> dict[str, list[str]]:
        """Everything in the service's own tables and its outbox, in no order."""
        excluded = {self.service.messaging_tables.inbox, self.service.messaging_tables.dead_letters}
        tables = [table for table in self.service.metadata.sorted_tables if table not in excluded]
        return {table.name: sorted(map(repr, await self.rows(table))) for table in tables}

    async def dead_letters(self) -> list[dict[str, Any]]:
        """Dead letters that were not replayed."""
        return [
            row
            for row in await self.rows(self.service.messaging_tables.dead_letters)
            if not row["replayed_at"]
        ]

    def headers(self, *roles: str, properties: Sequence[str] | None = None) -> dict[str, str]:
        """Headers of somebody with these roles."""
        scope = None if properties is None else list(properties)
        _, key = self.process.keyring.issue_key("tester", list(roles), scope, None)
        return {"Authorization": f"Bearer {key}"}


@asynccontextmanager
async def open_service(
    name: str, store: Store, properties: Path, **settings: Any
) -> AsyncIterator[ServiceDriver]:
    """The service `name` on `store`; its jobs and its relay do not run."""
    values: dict[str, Any] = {"amqp_url": "", "bootstrap_key": "", **settings}
    config = Settings(database_url=store.url, data_dir=store.folder, properties_dir=properties, **values)
    process = Process([name], config, ManualClock(NOW))
    service = process.services[0]
    await service.migrate_and_prepare()
    await service.bus.start({})
    service.ready = True
    transport = httpx.ASGITransport(process.app())
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            yield ServiceDriver(process, http)
    finally:
        await process.stop()
