"""Tells a story through the outside interface: what a person or another system does, and what must be."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from tests.support.processes import Processes, ServiceProcess, open_client
from tests.support.waiting import eventually

SERVICES = ("intake", "dispatch", "survey", "kpi")


class Story:
    """One installation, spoken to as its users do; `clients` maps each service to whoever answers for it.

    Every story has a property of its own, so that the rates it sees are those of its own doing."""

    def __init__(self, clients: dict[str, httpx.AsyncClient], property_id: str) -> None:
        self.clients = clients
        self.property = property_id

    async def call(self, service: str, method: str, path: str, status: int = 200, **options: Any) -> Any:
        """One request that must answer with `status`; its body."""
        response = await self.clients[service].request(method, path, **options)
        assert response.status_code == status, (path, response.status_code, response.text)
        return response.json() if response.content else None

    async def raise_demand(self, **demand: Any) -> str:
        """Somebody raises a demand; its id once its case is open."""
        accepted = await self.call(
            "intake", "POST", "/v1/demands", 202, json={"property": self.property, **demand}
        )
        await eventually(lambda: self.get_case(accepted["demand"]))
        return str(accepted["demand"])

    async def post_fact(self, name: str, id_: str, status: int = 202, **data: Any) -> Any:
        """Another system posts a fact."""
        event: dict[str, Any] = {"specversion": "1.0", "id": id_, "source": self.property, "type": name}
        event["data"] = {"property": self.property, **data}
        headers = {"Content-Type": "application/cloudevents+json"}
        return await self.call("intake", "POST", "/v1/events", status, json=event, headers=headers)

    async def get_case(self, case: str) -> Any:
        """The case as an administrator sees it."""
        return await self.call("dispatch", "GET", f"/v1/cases/{case}")

    async def perform_action(
        self, case: str, action: str, status: int = 200, actor: str | None = None, **data: Any
    ) -> Any:
        """Somebody does something on a case."""
        body: dict[str, Any] = {"action": action, "data": data}
        if actor:
            body["actor"] = actor
        return await self.call("dispatch", "POST", f"/v1/cases/{case}/actions", status, json=body)

    async def wait_for_state(self, case: str, state: str) -> Any:
        """Wait until the case is in `state`."""
        return await eventually(lambda: self.get_case(case), lambda case: case["state"] == state)

    async def wait_for_follow_up(self, case: str) -> Any:
        """The follow-up that the finished case is owed."""
        path = f"/v1/followups?property={self.property}&case={case}"
        page = await eventually(lambda: self.call("survey", "GET", path), lambda page: bool(page["items"]))
        assert len(page["items"]) == 1
        return page["items"][0]

    async def record_answer(self, follow_up: str, key: str, **answer: Any) -> Any:
        """A customer assistant calls and the resident answers."""
        body = {"outcome": "answered", "channel": "phone", "answer": answer}
        path = f"/v1/followups/{follow_up}/attempts"
        return await self.call("survey", "POST", path, json=body, headers={"Idempotency-Key": key})

    async def get_rate(self, kpi: str) -> tuple[str, str]:
        """Numerator and denominator of this month."""
        page = await self.call("kpi", "GET", f"/v1/kpis?property={self.property}&window=month")
        rate = next(item for item in page["items"] if item["kpi"] == kpi)
        return rate["numerator"], rate["denominator"]

    async def wait_for_rate(self, kpi: str, numerator: str, denominator: str) -> None:
        """Wait until the rate stands at this."""
        await eventually(lambda: self.get_rate(kpi), lambda rate: rate == (numerator, denominator))

    async def read_gauge(self, name: str) -> list[str]:
        """The lines of a metric, over all processes."""
        texts = [(await client.get("/metrics")).text for client in self.clients.values()]
        return [line for text in texts for line in text.splitlines() if line.startswith(f"{name}{{")]


def start_services(processes: Processes, apart: bool) -> dict[str, ServiceProcess]:
    """Ready processes: one for all four services, or one each."""
    if not apart:
        return dict.fromkeys(SERVICES, processes.start("all"))
    running = {name: processes.make(name) for name in SERVICES}
    for serving in running.values():
        serving.launch()
    for serving in running.values():
        serving.wait_ready()
    return running


@asynccontextmanager
async def open_story(running: dict[str, ServiceProcess], property_id: str) -> AsyncIterator[Story]:
    """A story on running processes."""
    clients = {name: open_client(serving) for name, serving in running.items()}
    try:
        yield Story(clients, property_id)
    finally:
        for client in clients.values():
            await client.aclose()
