"""Traffic for fault campaigns: repairs from end to end, on four services that may be gone at any moment.

Every request has a name of its own and is repeated until it is answered, as a careful client would; what was
answered is remembered, for the results to be checked against.
"""

import asyncio
import random
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.support.processes import KEY, ServiceProcess
from tests.support.waiting import eventually

PROPERTY = "tower"
PATIENCE = 90.0
UNAVAILABLE_STATUSES = {500, 502, 503, 504}


class NotAnswered(AssertionError):
    """A request was not answered as it must be."""


@dataclass
class Repair:
    """What is known of one demand: what was answered, what was asked for."""

    event: str
    demand: str = ""
    actions: list[str] = field(default_factory=list)
    first_inspection: bool = True
    rating: int | None = None
    closed: bool = False


class ServiceClients:
    """The four doors; each service may be restarted behind its port."""

    def __init__(self, serving: Mapping[str, ServiceProcess]) -> None:
        headers = {"Authorization": f"Bearer {KEY}"}
        limits = httpx.Limits(max_keepalive_connections=20)
        self.http = {
            name: httpx.AsyncClient(
                base_url=process.url, headers=headers, timeout=10, limits=limits, trust_env=False
            )
            for name, process in serving.items()
        }

    async def close(self) -> None:
        for client in self.http.values():
            await client.aclose()

    async def request(
        self,
        service: str,
        method: str,
        path: str,
        *,
        expect: set[int],
        retry_on: set[int] | None = None,
        **options: Any,
    ) -> Any:
        """Send until the status is one of `expect`; ask again on `retry_on`. NotAnswered for all else."""
        deadline, pause = time.monotonic() + PATIENCE, 0.02
        last_seen = "nothing"
        while time.monotonic() < deadline:
            try:
                reply = await self.http[service].request(method, path, **options)
            except httpx.TransportError as error:
                last_seen = type(error).__name__
            else:
                if reply.status_code in expect:
                    return reply.json()
                last_seen = f"{reply.status_code} {reply.text[:500]}"
                if reply.status_code not in UNAVAILABLE_STATUSES | {429} | (retry_on or set()):
                    break
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 0.5)
        raise NotAnswered(f"{method} {path} of {service}: {last_seen}")


class RepairTraffic:
    """Residents and engineers at work; `repairs` holds what was answered to them."""

    def __init__(self, clients: ServiceClients, seed: int) -> None:
        self.clients, self.random_numbers = clients, random.Random(seed)
        self.repairs: list[Repair] = []
        self.stopping = asyncio.Event()

    async def run(self, concurrency: int) -> None:
        """Run repairs, so many at a time, until `stopping`; those begun are run to their ends."""
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(self._run_in_turn())

    async def _run_in_turn(self) -> None:
        while not self.stopping.is_set():
            await self.run_repair()

    async def run_repair(self) -> Repair:
        """A repair from the demand to its closing."""
        repair = await self.raise_demand()
        await self.wait_until_assigned(repair)
        if self.random_numbers.random() < 0.1:
            await self.perform_action(repair, "decline", reason="busy")
            await self.wait_until_assigned(repair)
        await self.perform_action(repair, "accept")
        await self.perform_action(repair, "arrive")
        if self.random_numbers.random() < 0.2:
            await self.perform_action(repair, "wait", reason="parts")
            await self.perform_action(repair, "resume")
        await self.perform_action(repair, "complete")
        if self.random_numbers.random() < 0.1:
            repair.first_inspection = False
            await self.perform_action(repair, "inspect", passed=False)
            await self.perform_action(repair, "complete")
        await self.perform_action(repair, "inspect", passed=True)
        await self.answer_follow_up(repair)
        repair.closed = True
        return repair

    async def raise_demand(self) -> Repair:
        """Post a demand until it is answered with 202; half of them are then posted once more."""
        repair = Repair(event=str(uuid.uuid4()))
        data = {"property": PROPERTY, "kind": "repair", "summary": "tap drips", "reference": repair.event}
        reply = await self.post_event("guanjia.demand.raised.v1", repair.event, data)
        repair.demand = reply["demand"]
        self.repairs.append(repair)
        if self.random_numbers.random() < 0.5:
            repeated = await self.post_event("guanjia.demand.raised.v1", repair.event, data)
            assert repeated["demand"] == repair.demand, "the same event became two demands"
        return repair

    async def withdraw_too_late(self, repair: Repair) -> None:
        """Take the demand back when the work is done, and wait until the history says so."""
        data = {"property": PROPERTY, "demand": repair.demand}
        await self.post_event("guanjia.demand.withdrawn.v1", str(uuid.uuid4()), data)
        repair.actions.append("withdrawn_late")
        await eventually(
            lambda: self.get_case(repair),
            lambda case: any(entry["action"] == "withdrawn_late" for entry in case["history"]),
            within=PATIENCE,
        )

    async def post_event(self, type_: str, id_: str, data: dict[str, str]) -> Any:
        event = {"specversion": "1.0", "type": type_, "source": "campaign", "id": id_, "data": data}
        headers = {"Content-Type": "application/cloudevents+json"}
        return await self.clients.request(
            "intake", "POST", "/v1/events", expect={202}, json=event, headers=headers
        )

    async def get_case(self, repair: Repair) -> Any:
        return await self.clients.request(
            "dispatch", "GET", f"/v1/cases/{repair.demand}", expect={200}, retry_on={404}
        )

    async def wait_until_assigned(self, repair: Repair) -> None:
        """Until the system has found an engineer."""
        deadline = time.monotonic() + PATIENCE
        while (await self.get_case(repair))["state"] != "dispatched":
            if time.monotonic() > deadline:
                raise NotAnswered("nobody was assigned")
            await asyncio.sleep(0.05)

    async def perform_action(self, repair: Repair, action: str, **data: object) -> None:
        """One action, once, however often it has to be sent."""
        body = {"action": action, "data": data} if data else {"action": action}
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        path = f"/v1/cases/{repair.demand}/actions"
        await self.clients.request(
            "dispatch", "POST", path, expect={200}, retry_on={404}, json=body, headers=headers
        )
        repair.actions.append(action)

    async def answer_follow_up(self, repair: Repair, rating: int | None = None) -> None:
        """Wait for the follow-up, answer it, and wait until that closed the case. `rating` None: any."""
        follow_up = await self._wait_for_follow_up(repair)
        repair.rating = rating or self.random_numbers.choices((5, 4, 3, 1), (6, 2, 1, 1))[0]
        answer: dict[str, object] = {"rating": repair.rating, "expected": 4, "perceived": repair.rating}
        if repair.rating <= 2:
            answer["reason"] = "service"
        body = {"outcome": "answered", "channel": "phone", "answer": answer}
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        path = f"/v1/followups/{follow_up['id']}/attempts"
        await self.clients.request("survey", "POST", path, expect={200, 201}, json=body, headers=headers)
        deadline = time.monotonic() + PATIENCE
        while (await self.get_case(repair))["state"] != "closed":
            if time.monotonic() > deadline:
                raise NotAnswered("the answer did not close the case")
            await asyncio.sleep(0.05)

    async def _wait_for_follow_up(self, repair: Repair) -> Any:
        deadline = time.monotonic() + PATIENCE
        query = {"case": repair.demand, "property": PROPERTY}
        while True:
            reply = await self.clients.request("survey", "GET", "/v1/followups", expect={200}, params=query)
            if reply["items"]:
                return reply["items"][0]
            if time.monotonic() > deadline:
                raise NotAnswered("no follow-up came")
            await asyncio.sleep(0.05)
