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
from shared.pages.layout import PageRenderer
from shared.pages.sign_in import sign_in_routes
from shared.properties.kind_files import load_kinds
from shared.properties.loader import load_properties
from shared.service import ServiceContext, make_secret_and_keyring
from shared.settings import Settings
from tests.support.properties import write_property
from tests.support.stores import Store

NOW = datetime(2026, 11, 23, 4, tzinfo=UTC)
"""Noon on a Monday in Wuxi."""


def make_case(
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
    fields: dict[str, Any] = {
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
    return CaseChanged(**(fields | other))


@dataclass
class SurveyDriver:
    """The service, and the calls of a test to it."""

    service: Survey
    http: httpx.AsyncClient

    @property
    def clock(self) -> ManualClock:
        """The clock that the test sets."""
        assert isinstance(self.service.clock, ManualClock)
        return self.service.clock

    async def deliver_cases(self, *cases: CaseChanged) -> None:
        """Deliver cases in one batch, in their order."""
        events = [Event.of(case, source="guanjia/dispatch", time=case.entry.at) for case in cases]
        await self.deliver(*events)

    async def deliver(self, *events: Event) -> None:
        """Deliver events in one batch."""
        deliveries = [Delivery(queue="survey.cases", body=encode(event)) for event in events]
        await self.service.consumers()["survey.cases"](deliveries)

    def headers(
        self, *roles: str, person: str | None = None, properties: Sequence[str] | None = ("tower",)
    ) -> dict[str, str]:
        """Headers of somebody with these roles."""
        scope = None if properties is None else list(properties)
        _, key = self.service.keyring.issue_key("survey", list(roles), scope, person)
        return {"Authorization": f"Bearer {key}"}

    async def get_followup(self, case_id: str) -> dict[str, Any]:
        """The follow-up of a case, as its quality department sees it."""
        key = self.headers("quality", properties=None)
        listed = await self.http.get("/v1/followups", params={"case": case_id}, headers=key)
        (item,) = listed.json()["items"]
        answer = await self.http.get(f"/v1/followups/{item['id']}", headers=key)
        return dict(answer.json())

    async def create_followup(self, **fields: Any) -> dict[str, Any]:
        """A new follow-up."""
        finished = make_case(**fields)
        await self.deliver_cases(finished)
        return await self.get_followup(finished.case)

    async def post_attempt(
        self, followup: str, headers: dict[str, str] | None = None, **body: Any
    ) -> httpx.Response:
        """Post an attempt, by default as `zhao` of the quality department."""
        headers = headers or self.headers("quality", person="zhao")
        return await self.http.post(
            f"/v1/followups/{followup}/attempts", json={"channel": "phone"} | body, headers=headers
        )

    async def outbox_events(self, name: str) -> list[Event]:
        """The events of this type that were recorded to be sent, in their order."""
        outbox = self.service.messaging_tables.outbox
        async with self.service.database.snapshot() as connection:
            rows = await connection.execute(
                select(outbox.c.body).where(outbox.c.type == name).order_by(outbox.c.xid, outbox.c.position)
            )
            return [decode(body) for body in rows.scalars()]


@asynccontextmanager
async def open_survey(context: ServiceContext) -> AsyncIterator[SurveyDriver]:
    """A copy of the service, with its endpoints and pages."""
    service = Survey(context)
    await upgrade(service.database, service.metadata)
    authenticator = Authenticator(context.keyring)
    pages = [*service.pages(), *sign_in_routes(PageRenderer(authenticator), context.keyring)]
    app = Router(authenticator, Starlette(routes=pages))
    app.add(service, service.endpoints())
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as http:
        yield SurveyDriver(service, http)
    await service.close()


@pytest.fixture
async def context(store: Store, tmp_path: Path) -> AsyncIterator[ServiceContext]:
    """What copies of the service share: two properties, `tower` and `annex`, a clock, a secret, a store."""
    folder = tmp_path / "properties"
    write_property(folder, "tower")
    write_property(folder, "annex")
    values = {"database_url": store.url, "data_dir": store.folder, "properties_dir": folder, "amqp_url": ""}
    settings = Settings.model_validate(values)
    secret, keyring = make_secret_and_keyring(settings)
    clock = ManualClock(NOW)
    bus = make_bus(settings, clock)
    yield ServiceContext(
        settings, clock, bus, secret, keyring, load_properties(folder), load_kinds(settings.workflow_folders)
    )
    await bus.stop()


@pytest.fixture
async def survey(context: ServiceContext) -> AsyncIterator[SurveyDriver]:
    """The survey service."""
    async with open_survey(context) as copy:
        yield copy


@pytest.fixture
async def second_copy(context: ServiceContext, survey: SurveyDriver) -> AsyncIterator[SurveyDriver]:
    """Another copy of it on the same data."""
    async with open_survey(context) as copy:
        yield copy
