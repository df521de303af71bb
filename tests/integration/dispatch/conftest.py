"""The dispatch service on both databases, its tables made by its migrations; events come as from the bus."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec import Struct
from sqlalchemy import select

from guanjia.process import make_bus
from services.dispatch.app import Dispatch
from services.dispatch.models import steps
from shared.clock import ManualClock
from shared.database.migrations import upgrade
from shared.http.authentication import Authenticator
from shared.http.router import Router
from shared.ids import new_id
from shared.messages.cloudevents import Event, decode, encode
from shared.messages.events import Answer, DemandAccepted, FollowUpDone
from shared.messaging.bus import Delivery
from shared.messaging.topology import queues_for
from shared.properties.kind_files import load_kinds
from shared.properties.loader import load_properties
from shared.service import ServiceContext, make_secret_and_keyring
from shared.settings import Settings
from tests.support.properties import TOWER, write_property
from tests.support.stores import Store

NOW = datetime(2026, 11, 23, 4, tzinfo=UTC)
"""Noon on a Monday in Wuxi."""
EMPTY = TOWER.split("\n[[people]]")[0]
BY_HAND = f"{TOWER}\n[dispatch]\nautomatic = false\n"
SCOPED = f'{TOWER}\n[scope]\nfloors = "6-28"\n'


@dataclass
class DispatchDriver:
    """The service, and how a test talks to it."""

    service: Dispatch
    clock: ManualClock
    http: httpx.AsyncClient
    store: Store
    settings: Settings
    issued_keys: dict[tuple[Any, ...], str] = field(default_factory=dict)
    copies: list[Dispatch] = field(default_factory=list)

    async def deliver(self, *events: Event) -> None:
        """Deliver events in one set for each queue."""
        sets: dict[str, list[Delivery]] = {}
        for event in events:
            for queue in queues_for(event.type):
                if queue.startswith("dispatch."):
                    sets.setdefault(queue, []).append(Delivery(queue=queue, body=encode(event)))
        consumers = self.service.consumers()
        for queue, deliveries in sets.items():
            await consumers[queue](deliveries)

    async def deliver_fact(self, data: Struct, time: datetime | None = None, source: str = "bms") -> Event:
        """Deliver a fact that happened at `time` (now)."""
        event = Event.of(data, source=source, time=time or self.clock.now())
        await self.deliver(event)
        return event

    async def deliver_demand(self, kind: str = "repair", **fields: Any) -> str:
        """An accepted demand, delivered; the id of its case."""
        event = self.accepted_event(kind, **fields)
        await self.deliver(event)
        return str(event.data.demand)

    def accepted_event(self, kind: str = "repair", **fields: Any) -> Event:
        """An accepted demand."""
        now = self.clock.now()
        defaults: dict[str, Any] = {
            "demand": new_id(),
            "property": "tower",
            "kind": kind,
            "summary": "The tap drips",
            "source": "app",
            "raised_at": now,
            "accepted_at": now,
        }
        return Event.of(DemandAccepted(**(defaults | fields)), source="guanjia/intake", time=now)

    async def deliver_follow_up(self, case: str, rating: int | None = None, **fields: Any) -> Event:
        """The follow-up of a case is done, with this rating."""
        now = self.clock.now()
        defaults: dict[str, Any] = {
            "followup": new_id(),
            "case": case,
            "property": "tower",
            "kind": "repair",
            "line": "maintenance",
            "due_at": now,
            "since": now,
            "outcome": "answered" if rating else "declined",
            "done_at": now,
            "answered_at": now if rating else None,
            "answer": Answer(rating=rating) if rating else None,
            "version": 1,
            "by": "zhao",
        }
        event = Event.of(FollowUpDone(**(defaults | fields)), source="guanjia/survey", time=now)
        await self.deliver(event)
        return event

    def headers_for(
        self, *roles: str, person: str | None = None, properties: Sequence[str] | None = ("tower",)
    ) -> dict[str, str]:
        """Headers of somebody with these roles; the same key for the same question."""
        question = (roles, person, properties)
        if question not in self.issued_keys:
            chosen = None if properties is None else list(properties)
            self.issued_keys[question] = self.service.keyring.issue_key(
                person or "office", list(roles), chosen, person
            )[1]
        return {"Authorization": f"Bearer {self.issued_keys[question]}"}

    async def get_case(self, case_id: str, headers: dict[str, str] | None = None) -> dict[str, Any]:
        """The case as an administrator sees it."""
        answer = await self.http.get(f"/v1/cases/{case_id}", headers=headers or self.headers_for("admin"))
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def list_cases(self, **query: Any) -> list[dict[str, Any]]:
        """A list of cases as an administrator sees it."""
        answer = await self.http.get("/v1/cases", params=query, headers=self.headers_for("admin"))
        assert answer.status_code == 200, answer.text
        return list(answer.json()["items"])

    async def post_action(
        self, case_id: str, action: str, headers: dict[str, str] | None = None, **body: Any
    ) -> httpx.Response:
        """Ask for a step, unless `headers` say otherwise as an administrator."""
        return await self.http.post(
            f"/v1/cases/{case_id}/actions",
            json={"action": action} | body,
            headers=headers or self.headers_for("admin"),
        )

    async def take_action(
        self, case_id: str, action: str, headers: dict[str, str] | None = None, **body: Any
    ) -> dict[str, Any]:
        """The same, and it must be taken."""
        answer = await self.post_action(case_id, action, headers, **body)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def complete_repair(self, case_id: str) -> dict[str, Any]:
        """A dispatched repair, brought to its follow-up by its engineer and inspected."""
        engineer = (await self.get_case(case_id))["assignee"]
        by = self.headers_for("engineer", person=engineer)
        for action in ("accept", "depart", "arrive", "complete"):
            await self.take_action(case_id, action, by)
        return await self.take_action(case_id, "inspect", data={"passed": True})

    async def pass_time(self, **by: float) -> None:
        """Turn the clock and check what is due."""
        self.clock.advance(timedelta(**by))
        await self.check_due_cases()

    async def check_due_cases(self) -> None:
        """Check the cases that are due until none is."""
        while await self.service.timer_watch.check_due_cases():
            pass

    async def published_events(self, name: str) -> list[Event]:
        """The events of this type as they are made of the rows where nobody confirmed them, in order."""
        outbox = self.service.messaging_tables.outbox
        async with self.service.database.snapshot() as connection:
            xids = select(steps.c.xid).union(select(outbox.c.xid))
            written = sorted((await connection.execute(xids)).scalars())
            events = [
                event
                for source in self.service.relay.sources
                for _, event in await source.read_events(connection, written)
            ]
        return [decode(body) for type_, body in events if type_ == name]

    async def make_copy(self) -> Dispatch:
        """Another process of the service on the same database; closed with this one."""
        copy = Dispatch(service_context(self.settings, self.clock))
        await copy.prepare()
        self.copies.append(copy)
        return copy

    async def count_dead_letters(self) -> dict[str, int]:
        """How many events were set aside, by queue."""
        async with self.service.database.snapshot() as connection:
            return await self.service.dead_letters.count_by_queue(connection)


def store_settings(store: Store, folder: Path) -> Settings:
    """Settings of a process on this store."""
    values = {"database_url": store.url, "data_dir": store.folder, "properties_dir": folder, "amqp_url": ""}
    return Settings.model_validate(values)


def service_context(settings: Settings, clock: ManualClock) -> ServiceContext:
    """What a process on these settings gives to its services."""
    secret, keyring = make_secret_and_keyring(settings)
    properties = load_properties(settings.properties_dir)
    return ServiceContext(
        settings,
        clock,
        make_bus(settings, clock),
        secret,
        keyring,
        properties,
        load_kinds(settings.workflow_folders),
    )


@pytest.fixture
async def dispatch(store: Store, tmp_path: Path) -> AsyncIterator[DispatchDriver]:
    """The service with `tower`, `annex`, `empty` (without people), `by_hand`, `scoped` (floors 6 to 28)."""
    folder = tmp_path / "properties"
    for name, text in {
        "tower": TOWER,
        "annex": TOWER,
        "empty": EMPTY,
        "by_hand": BY_HAND,
        "scoped": SCOPED,
    }.items():
        write_property(folder, name, text)
    settings, clock = store_settings(store, folder), ManualClock(NOW)
    context = service_context(settings, clock)
    service = Dispatch(context)
    await upgrade(service.database, service.metadata)
    await service.prepare()
    await context.bus.start({})
    app = Router(Authenticator(context.keyring))
    app.add(service, service.endpoints())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as http:
        driver = DispatchDriver(service, clock, http, store, settings)
        yield driver
    for process in (*driver.copies, service):
        await process.close()
    await context.bus.stop()
