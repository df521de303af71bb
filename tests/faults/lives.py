"""Traffic for fault campaigns: whole lives of repairs, told to four services that may be gone at any moment.

Every request has a name of its own and is repeated until it is answered, as a careful client would; what was
answered is remembered, for the books to be checked against.
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

PROPERTY = "tower"
PATIENCE = 90.0
AWAY = {500, 502, 503, 504}


class GaveUp(AssertionError):
    """A request was not answered as it must be."""


@dataclass
class Life:
    """What is known of one demand: what was answered, what was asked for."""

    event: str
    demand: str = ""
    asked: list[str] = field(default_factory=list)
    first_inspection: bool = True
    rating: int | None = None
    over: bool = False


class Clients:
    """The four doors; each service may be restarted behind its port."""

    def __init__(self, serving: Mapping[str, ServiceProcess]) -> None:
        headers = {"Authorization": f"Bearer {KEY}"}
        limits = httpx.Limits(max_keepalive_connections=20)
        self.doors = {
            name: httpx.AsyncClient(
                base_url=process.url, headers=headers, timeout=10, limits=limits, trust_env=False
            )
            for name, process in serving.items()
        }

    async def close(self) -> None:
        for door in self.doors.values():
            await door.aclose()

    async def ask(
        self,
        service: str,
        method: str,
        path: str,
        *,
        expect: set[int],
        later: set[int] | None = None,
        **more: Any,
    ) -> Any:
        """Send until the answer is one of `expect`; `later`: not yet true, ask again. GaveUp for all else."""
        deadline, pause = time.monotonic() + PATIENCE, 0.02
        seen = "nothing"
        while time.monotonic() < deadline:
            try:
                answer = await self.doors[service].request(method, path, **more)
            except httpx.TransportError as error:
                seen = type(error).__name__
            else:
                if answer.status_code in expect:
                    return answer.json()
                seen = f"{answer.status_code} {answer.text[:500]}"
                if answer.status_code not in AWAY | {429} | (later or set()):
                    break
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 0.5)
        raise GaveUp(f"{method} {path} of {service}: {seen}")


class Town:
    """Residents and engineers at work; `lives` holds what they were told."""

    def __init__(self, clients: Clients, seed: int) -> None:
        self.clients, self.chance = clients, random.Random(seed)
        self.lives: list[Life] = []
        self.closing = asyncio.Event()

    async def live(self, side_by_side: int) -> None:
        """Live lives, so many at a time, until `closing`; those begun are lived to their ends."""
        async with asyncio.TaskGroup() as group:
            for _ in range(side_by_side):
                group.create_task(self._one_after_another())

    async def _one_after_another(self) -> None:
        while not self.closing.is_set():
            await self.one()

    async def one(self) -> Life:
        """A repair from the demand to its closing."""
        life = await self.demand()
        await self.until_assigned(life)
        if self.chance.random() < 0.1:
            await self.act(life, "decline", reason="busy")
            await self.until_assigned(life)
        await self.act(life, "accept")
        await self.act(life, "arrive")
        if self.chance.random() < 0.2:
            await self.act(life, "wait", reason="parts")
            await self.act(life, "resume")
        await self.act(life, "complete")
        if self.chance.random() < 0.1:
            life.first_inspection = False
            await self.act(life, "inspect", passed=False)
            await self.act(life, "complete")
        await self.act(life, "inspect", passed=True)
        await self.follow_up(life)
        life.over = True
        return life

    async def demand(self) -> Life:
        """Post a demand until it is answered with 202; half of them are then posted once more."""
        life = Life(event=str(uuid.uuid4()))
        answer = await self.post(life)
        life.demand = answer["demand"]
        self.lives.append(life)
        if self.chance.random() < 0.5:
            again = await self.post(life)
            assert again["demand"] == life.demand, "the same event became two demands"
        return life

    async def post(self, life: Life) -> Any:
        event = {
            "specversion": "1.0",
            "type": "guanjia.demand.raised.v1",
            "source": "campaign",
            "id": life.event,
            "data": {"property": PROPERTY, "kind": "repair", "summary": "tap drips", "reference": life.event},
        }
        headers = {"Content-Type": "application/cloudevents+json"}
        return await self.clients.ask(
            "intake", "POST", "/v1/events", expect={202}, json=event, headers=headers
        )

    async def case(self, life: Life) -> Any:
        return await self.clients.ask(
            "dispatch", "GET", f"/v1/cases/{life.demand}", expect={200}, later={404}
        )

    async def until_assigned(self, life: Life) -> None:
        """Until the system has found an engineer."""
        deadline = time.monotonic() + PATIENCE
        while (await self.case(life))["state"] != "dispatched":
            if time.monotonic() > deadline:
                raise GaveUp("nobody was assigned")
            await asyncio.sleep(0.05)

    async def act(self, life: Life, action: str, **data: object) -> None:
        """One action, once, however often it has to be sent."""
        body = {"action": action, "data": data} if data else {"action": action}
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        path = f"/v1/cases/{life.demand}/actions"
        await self.clients.ask(
            "dispatch", "POST", path, expect={200}, later={404}, json=body, headers=headers
        )
        life.asked.append(action)

    async def follow_up(self, life: Life) -> None:
        """Wait for the follow-up, answer it, and wait until that closed the case."""
        found = await self._followup_of(life)
        life.rating = self.chance.choices((5, 4, 3, 1), (6, 2, 1, 1))[0]
        answer: dict[str, object] = {"rating": life.rating, "expected": 4, "perceived": life.rating}
        if life.rating <= 2:
            answer["reason"] = "service"
        body = {"outcome": "answered", "channel": "phone", "answer": answer}
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        path = f"/v1/followups/{found['id']}/attempts"
        await self.clients.ask("survey", "POST", path, expect={200, 201}, json=body, headers=headers)
        deadline = time.monotonic() + PATIENCE
        while (await self.case(life))["state"] != "closed":
            if time.monotonic() > deadline:
                raise GaveUp("the answer did not close the case")
            await asyncio.sleep(0.05)

    async def _followup_of(self, life: Life) -> Any:
        deadline = time.monotonic() + PATIENCE
        query = {"case": life.demand, "property": PROPERTY}
        while True:
            answer = await self.clients.ask("survey", "GET", "/v1/followups", expect={200}, params=query)
            if answer["items"]:
                return answer["items"][0]
            if time.monotonic() > deadline:
                raise GaveUp("no follow-up came")
            await asyncio.sleep(0.05)
