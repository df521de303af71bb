"""The doors of the services as the simulated people use them: HTTP, with a key for each source and person."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import msgspec

from guanjia.simulation.case_tracker import Step
from guanjia.simulation.plan import Post
from shared.properties.property import Property

BATCH = 400
JSON = {"Content-Type": "application/json"}


class Closed(Exception):
    """A door does not do what it must for the simulation to go on."""


class SimulationClient:
    """`admin` is a key of an administrator; `refused` counts what was answered with no, by code."""

    def __init__(self, http: httpx.AsyncClient, admin: str, prop: Property) -> None:
        self._http, self._property, self._people = http, prop.id, prop.people
        self._admin = {"Authorization": f"Bearer {admin}"}
        self._keys: dict[str, dict[str, str]] = {}
        self.refused: Counter[str] = Counter()

    async def sign_in(self) -> None:
        """Give everybody a key."""
        await self._issue("", "simulated", ["source"], None)
        for person in self._people:
            await self._issue(person.id, person.id, list(person.roles), person.id)

    async def _issue(self, word: str, name: str, roles: list[str], person: str | None) -> None:
        body = {"name": name, "roles": roles, "properties": [self._property]}
        answer = await self._send(
            "POST", "/v1/keys", self._admin, body | ({"person": person} if person else {})
        )
        self._keys[word] = {"Authorization": f"Bearer {answer['key']}"}

    async def post(self, posts: Sequence[Post]) -> dict[str, str]:
        """Post events in batches; event id → the demand that it became. Raises Closed."""
        opened: dict[str, str] = {}
        for start in range(0, len(posts), BATCH):
            some = [one.cloudevent(self._property) for one in posts[start : start + BATCH]]
            kind = {"Content-Type": "application/cloudevents-batch+json"}
            answer = await self._send("POST", "/v1/events", self._keys[""] | kind, some)
            for result in answer["results"]:
                if result["status"] == "rejected":
                    raise Closed(str(result["problem"]))
                if "demand" in result:
                    opened[result["id"]] = result["demand"]
        return opened

    async def act(self, case: str, step: Step, key: str) -> bool:
        """Take a step; false where it was refused."""
        body: dict[str, Any] = {"action": step.action, "data": step.data}
        if step.at is not None:
            body["at"] = step.at.isoformat()
        return await self._try(f"/v1/cases/{case}/actions", step.by, key, body)

    async def attempt(self, followup: str, by: str, key: str, body: Mapping[str, Any]) -> bool:
        """Record an attempt at a follow-up; false where it was refused."""
        return await self._try(f"/v1/followups/{followup}/attempts", by, key, body)

    async def _try(self, path: str, by: str, key: str, body: Mapping[str, Any]) -> bool:
        headers = self._keys[by] | JSON | {"Idempotency-Key": key}
        answer = await self._http.post(path, headers=headers, content=msgspec.json.encode(body))
        if answer.status_code in (403, 409, 422):
            problem = answer.json()
            self.refused[
                f"{body.get('action', 'attempt')}: {problem.get('type') or problem.get('title')}"
            ] += 1
            return False
        _check(answer)
        return True

    async def case(self, case: str) -> Any:
        """A case whole."""
        return await self._send("GET", f"/v1/cases/{case}", self._admin)

    async def rates(self, window: str) -> list[dict[str, Any]]:
        """All rates of a window as of now."""
        path = f"/v1/kpis?property={self._property}&window={window}"
        return list((await self._send("GET", path, self._admin))["items"])

    async def _send(self, method: str, path: str, headers: Mapping[str, str], body: Any = None) -> Any:
        content = b"" if body is None else msgspec.json.encode(body)
        answer = await self._http.request(method, path, headers={**JSON, **headers}, content=content)
        _check(answer)
        return msgspec.json.decode(answer.content)


def _check(answer: httpx.Response) -> None:
    if answer.status_code >= 300:
        raise Closed(f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text}")
