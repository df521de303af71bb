"""The kpi service on both databases, its tables made by its migrations; events come as from the bus."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from guanjia.process import make_bus
from services.kpi.app import Kpi
from shared.clock import ManualClock
from shared.database.migrations import upgrade
from shared.http.authentication import Authenticator
from shared.http.router import Router
from shared.messages.cloudevents import Event, encode
from shared.messaging.bus import Delivery
from shared.pages.layout import PageRenderer
from shared.pages.sign_in import sign_in_routes
from shared.properties.kind_files import load_kinds
from shared.properties.loader import load_properties
from shared.service import ServiceContext, make_secret_and_keyring
from shared.settings import Settings
from tests.support.properties import TOWER, write_property
from tests.support.stores import Store

NOW = datetime(2026, 11, 24, 4, 30, tzinfo=UTC)
CHANGES = """
[milestones]
taken_over_on = 2026-01-15
iso_9000 = { reached_on = 2026-03-01 }

[targets]
equipment_intact = 0.5
"""
"""12:30 on a Tuesday in Wuxi, after all that happens in the tests."""
QUEUES = {"guanjia.case": "kpi.cases", "guanjia.foll": "kpi.followups"}


@dataclass
class KpiDesk:
    """The service, another copy of it, and how a test talks to it."""

    service: Kpi
    other: Kpi
    clock: ManualClock
    http: httpx.AsyncClient

    async def tell(self, *events: Event, copy: Kpi | None = None) -> None:
        """Deliver events in one set for each queue, in their order; to the other copy where it is named."""
        consumers = (copy or self.service).consumers()
        sets: dict[str, list[Delivery]] = {}
        for event in events:
            queue = QUEUES.get(event.type[:12], "kpi.facts")
            sets.setdefault(queue, []).append(Delivery(queue=queue, body=encode(event)))
        for queue, deliveries in sets.items():
            await consumers[queue](deliveries)

    def key(self, *roles: str, properties: Sequence[str] | None = ("tower",)) -> dict[str, str]:
        """Headers of somebody with these roles."""
        chosen = None if properties is None else list(properties)
        return {
            "Authorization": f"Bearer {self.service.keyring.issue_key('a', list(roles), chosen, None)[1]}"
        }

    async def get(self, path: str, *, roles: Sequence[str] = ("manager",), **params: Any) -> Any:
        """The JSON that a manager of the tower gets."""
        answer = await self.http.get(path, params=params, headers=self.key(*roles))
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
async def desk(store: Store, tmp_path: Path) -> AsyncIterator[KpiDesk]:
    """The kpi service with two properties, `tower` and `annex`."""
    folder = tmp_path / "properties"
    write_property(folder, "tower", TOWER.replace("\n[[people]]", CHANGES + "\n[[people]]", 1))
    write_property(folder, "annex")
    told = {"database_url": store.url, "data_dir": store.folder, "properties_dir": folder, "amqp_url": ""}
    settings = Settings.model_validate(told)
    clock = ManualClock(NOW)
    bus = make_bus(settings, clock)
    around = ServiceContext(
        settings,
        clock,
        bus,
        *make_secret_and_keyring(settings),
        load_properties(folder),
        load_kinds(settings.workflow_folders),
    )
    service, other = Kpi(around), Kpi(around)
    await upgrade(service.database, service.metadata)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(origin(service)), base_url="http://test"
    ) as http:
        yield KpiDesk(service, other, clock, http)
    await service.close()
    await other.close()
    await bus.stop()


def origin(service: Kpi) -> Router:
    """What the service answers."""
    authenticator = Authenticator(service.keyring)
    pages = [*service.pages(), *sign_in_routes(PageRenderer(authenticator), service.keyring)]
    router = Router(authenticator, Starlette(routes=pages))
    router.add(service, service.endpoints())
    return router
