"""The survey service on both databases, its tables made by its migrations; events come as from the bus."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from starlette.applications import Starlette

from guanjia.process import make_bus
from services.survey.app import Survey
from shared.clock import ManualClock
from shared.database.migrations import upgrade
from shared.http.authentication import Authenticator
from shared.http.router import Router
from shared.ids import new_id
from shared.messages.cloudevents import Event, decode, encode
from shared.messages.events import CaseChanged, CaseFacts, Entry, FollowUpPlan, WorkflowRef
from shared.messaging.bus import Delivery
from shared.pages.layout import PageRenderer, sign_in_routes
from shared.properties.kind_files import load_kinds
from shared.properties.loader import load_properties
from shared.service import ServiceContext, secret_and_keyring
from shared.settings import Settings
from tests.support.properties import write_property
from tests.support.stores import Store

NOW = datetime(2026, 11, 23, 4, tzinfo=UTC)
"""Noon on a Monday in Wuxi."""


def case(
    case_id: str | None = None,
    *,
    version: int = 8,
    property: str = "tower",
    planned: bool = True,
    **other: Any,
) -> CaseChanged:
    """A repair that was finished an hour ago, by `wang`."""
    since = NOW - timedelta(hours=1)
    plan = FollowUpPlan(line="maintenance", due_at=since + timedelta(hours=24), since=since, workers=["wang"])
    step = {"action": "inspect", "from_": "completed", "to": "following_up", "actor": "zhao"}
    entry = Entry(seq=version, at=since, recorded_at=since, **step)
    told: dict[str, Any] = {
        "case": case_id or new_id(),
        "number": "R-20261123-0001",
        "property": property,
        "kind": "repair",
        "workflow": WorkflowRef(name="repair", version=1),
        "state": "following_up",
        "open": True,
        "priority": "normal",
        "assignee": "wang",
        "raised_at": since - timedelta(hours=2),
        "line": None,
        "subject": None,
        "perspective": None,
        "rework_of": None,
        "parent": None,
        "language": "zh-CN",
        "version": version,
        "entry": entry,
        "deadlines": [],
        "facts": CaseFacts(completed_at=since),
        "follow_up": plan if planned else None,
    }
    return CaseChanged(**(told | other))


@dataclass
class SurveyDesk:
    """The service, and how a test talks to it."""

    service: Survey
    http: httpx.AsyncClient

    @property
    def clock(self) -> ManualClock:
        """The clock that the test turns."""
        assert isinstance(self.service.clock, ManualClock)
        return self.service.clock

    async def tell(self, *cases: CaseChanged) -> None:
        """Deliver cases in one set, in their order."""
        events = [Event.of(told, source="guanjia/dispatch", time=told.entry.at) for told in cases]
        await self.deliver(*events)

    async def deliver(self, *events: Event) -> None:
        """Deliver events in one set."""
        deliveries = [Delivery(queue="survey.cases", body=encode(event)) for event in events]
        await self.service.consumers()["survey.cases"](deliveries)

    def key(
        self, *roles: str, person: str | None = None, properties: Sequence[str] | None = ("tower",)
    ) -> dict[str, str]:
        """Headers of somebody with these roles."""
        chosen = None if properties is None else list(properties)
        return {
            "Authorization": f"Bearer {self.service.keyring.issue('desk', list(roles), chosen, person)[1]}"
        }

    async def followup(self, case_id: str) -> dict[str, Any]:
        """The follow-up of a case, as its quality department sees it."""
        key = self.key("quality", properties=None)
        listed = await self.http.get("/v1/followups", params={"case": case_id}, headers=key)
        (item,) = listed.json()["items"]
        answer = await self.http.get(f"/v1/followups/{item['id']}", headers=key)
        return dict(answer.json())

    async def planned(self, **told: Any) -> dict[str, Any]:
        """A new follow-up."""
        finished = case(**told)
        await self.tell(finished)
        return await self.followup(finished.case)

    async def attempt(
        self, followup: str, headers: dict[str, str] | None = None, **body: Any
    ) -> httpx.Response:
        """Post an attempt, unless told otherwise as `zhao` of the quality department."""
        by = headers or self.key("quality", person="zhao")
        return await self.http.post(
            f"/v1/followups/{followup}/attempts", json={"channel": "phone"} | body, headers=by
        )

    async def spoken(self, name: str) -> list[Event]:
        """The events of this type that were recorded to be sent, in their order."""
        outbox = self.service.messaging_tables.outbox
        async with self.service.database.snapshot() as connection:
            rows = await connection.execute(
                select(outbox.c.body).where(outbox.c.type == name).order_by(outbox.c.id)
            )
            return [decode(body) for body in rows.scalars()]


@asynccontextmanager
async def running(around: ServiceContext) -> AsyncIterator[SurveyDesk]:
    """A copy of the service, with its endpoints and pages."""
    service = Survey(around)
    await upgrade(service.database, service.metadata)
    authenticator = Authenticator(around.keyring)
    pages = [*service.pages(), *sign_in_routes(PageRenderer(authenticator), around.keyring)]
    app = Router(authenticator, Starlette(routes=pages))
    app.add(service, service.endpoints())
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as http:
        yield SurveyDesk(service, http)
    await service.close()


@pytest.fixture
async def around(store: Store, tmp_path: Path) -> AsyncIterator[ServiceContext]:
    """What copies of the service share: two properties, `tower` and `annex`, a clock, a secret, a store."""
    folder = tmp_path / "properties"
    write_property(folder, "tower")
    write_property(folder, "annex")
    told = {"database_url": store.url, "data_dir": store.folder, "properties_dir": folder, "amqp_url": ""}
    settings = Settings.model_validate(told)
    secret, keyring = secret_and_keyring(settings)
    clock = ManualClock(NOW)
    bus = make_bus(settings, clock)
    yield ServiceContext(
        settings, clock, bus, secret, keyring, load_properties(folder), load_kinds(settings.workflow_folders)
    )
    await bus.stop()


@pytest.fixture
async def desk(around: ServiceContext) -> AsyncIterator[SurveyDesk]:
    """The survey service."""
    async with running(around) as copy:
        yield copy


@pytest.fixture
async def other_desk(around: ServiceContext, desk: SurveyDesk) -> AsyncIterator[SurveyDesk]:
    """Another copy of it on the same data."""
    async with running(around) as copy:
        yield copy
