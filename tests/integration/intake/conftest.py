"""intake with two properties on both databases, driven over HTTP, without background work."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec import Struct
from sqlalchemy import select

from services.intake.app import Intake
from services.intake.models import events
from shared.clock import ManualClock
from shared.messages.cloudevents import Event, decode
from tests.contract.samples import NOW
from tests.contract.service_driver import ServiceDriver, open_service
from tests.support.properties import write_property
from tests.support.stores import Store

STRUCTURED = "application/cloudevents+json"
BATCHED = "application/cloudevents-batch+json"
DEMAND = {"property": "tower", "kind": "repair", "summary": "厨房水管漏水", "reference": "A-17"}


class IntakeDriver:
    """intake, and the calls of other systems to it."""

    def __init__(self, driver: ServiceDriver) -> None:
        service, clock = driver.service, driver.process.clock
        assert isinstance(service, Intake)
        assert isinstance(clock, ManualClock)
        self.driver, self.service, self.clock, self.http = driver, service, clock, driver.http
        self.headers = driver.headers("source", properties=["tower"])

    async def post(
        self, path: str, body: Any, kind: str = "application/json", **headers: str
    ) -> httpx.Response:
        """Post JSON, or bytes as they are, with the key of a source of the tower."""
        all_headers = {"content-type": kind, "accept-language": "en"} | self.headers
        all_headers |= {name.replace("_", "-"): value for name, value in headers.items()}
        raw = {"content": body} if isinstance(body, bytes) else {"json": body}
        return await self.http.post(path, headers=all_headers, **raw)

    async def post_event(self, event: Any) -> httpx.Response:
        """Post one event in structured mode."""
        return await self.post("/v1/events", event, STRUCTURED)

    async def post_batch(self, *members: Any) -> list[dict[str, Any]]:
        """Post a batch; its results."""
        answer = await self.post("/v1/events", list(members), BATCHED)
        assert answer.status_code == 200, answer.text
        results: list[dict[str, Any]] = answer.json()["results"]
        return results

    async def get(self, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
        """Get with the same key, or another."""
        return await self.http.get(path, headers=headers or self.headers)

    async def outbox_events(self) -> list[Event]:
        """All that was recorded to be published, in its order, as the relay reads it."""
        service, found = self.service, []
        async with service.database.autocommit() as connection:
            tables = (service.messaging_tables.outbox, events)
            for table, source in zip(tables, service.relay.sources, strict=True):
                xids = (await connection.execute(select(table.c.xid).distinct())).scalars().all()
                found += await source.read_events(connection, [xid for xid in xids if xid is not None])
        return [decode(event.body) for _, event in sorted(found, key=lambda member: member[0])]

    async def outbox_data(self, kind: type[Struct]) -> list[Any]:
        """The data of those of that kind."""
        return [event.data for event in await self.outbox_events() if type(event.data) is kind]

    async def count_accepted(self) -> tuple[int, int]:
        """How many events and how many demands are on record."""
        rows = await self.driver.rows(events)
        return len(rows), sum(row["demand"] is not None for row in rows)


def make_event(
    id_: str = "e-1", data: Any = None, *, type_: str = "guanjia.demand.raised.v1", **more: Any
) -> dict[str, Any]:
    """An event of the owner app."""
    attributes = {
        "specversion": "1.0",
        "id": id_,
        "source": "/owner-app",
        "type": type_,
        "data": data or DEMAND,
    }
    return attributes | {"time": "2026-11-23T11:30:00+08:00"} | more


def make_fee(id_: str = "f-1", amount: str = "12.50") -> dict[str, Any]:
    """A payment, which is a fact and no demand."""
    data = {"property": "tower", "payment": id_, "bill": "b-1", "amount": amount}
    return make_event(id_, data, type_="guanjia.fee.paid.v1")


@pytest.fixture
async def intake(store: Store, tmp_path: Path) -> AsyncIterator[IntakeDriver]:
    """intake at noon of a Monday in Wuxi, for `tower` and `annex`."""
    async with open_intake(store, tmp_path) as intake:
        yield intake


@asynccontextmanager
async def open_intake(store: Store, folder: Path, **settings: Any) -> AsyncIterator[IntakeDriver]:
    """The same with other settings."""
    for name in ("tower", "annex"):
        write_property(folder / "properties", name)
    async with open_service("intake", store, folder / "properties", **settings) as driver:
        assert driver.process.clock.now() == NOW
        yield IntakeDriver(driver)
