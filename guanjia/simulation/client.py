"""The services' HTTP interface as the simulated people use it, with a key for each source and person."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TypeVar

import httpx
import msgspec
from msgspec import Struct

from guanjia.simulation.case_tracker import CaseAction
from guanjia.simulation.plan import PlannedEvent
from shared.properties.property import Property

BATCH = 400
JSON = {"Content-Type": "application/json"}
CLOUDEVENTS = {"Content-Type": "application/cloudevents-batch+json"}
REFUSALS = (403, 409, 422)
T = TypeVar("T")


class RequestFailed(Exception):
    """A service does not do what it must for the simulation to go on."""


class RateFigures(Struct, frozen=True):
    """A rate of a window: numerator and denominator as decimal text."""

    kpi: str
    numerator: str
    denominator: str


class CaseDetails(Struct, frozen=True):
    """What a case was opened about, where no demand did it."""

    equipment: str | None = None
    inspection: str | None = None


class _IssuedKey(Struct):
    key: str


class _EventResult(Struct):
    id: str
    status: str
    demand: str | None = None
    problem: dict[str, object] | None = None


class _EventResults(Struct):
    results: list[_EventResult]


class _Case(Struct):
    details: CaseDetails | None = None


class _Rates(Struct):
    items: list[RateFigures]


class _Problem(Struct):
    type: str | None = None
    title: str | None = None


class SimulationClient:
    """`admin` is a key of an administrator; `refused` counts refusals by action and problem."""

    def __init__(self, http: httpx.AsyncClient, admin: str, prop: Property) -> None:
        self._http, self._property, self._people = http, prop.id, prop.people
        self._admin = _authorization(admin)
        self._source: dict[str, str] = {}
        self._keys: dict[str, dict[str, str]] = {}
        self.refused: Counter[str] = Counter()

    async def issue_keys(self) -> None:
        """Give everybody a key: the sources of events one for all, each of the staff their own."""
        self._source = await self._issue_key("simulated", ["source"], None)
        for person in self._people:
            self._keys[person.id] = await self._issue_key(person.id, list(person.roles), person.id)

    async def _issue_key(self, name: str, roles: list[str], person: str | None) -> dict[str, str]:
        body: dict[str, object] = {"name": name, "roles": roles, "properties": [self._property]}
        body |= {"person": person} if person else {}
        issued = await self._send(_IssuedKey, "POST", "/v1/keys", self._admin, body)
        return _authorization(issued.key)

    async def post_events(self, events: Sequence[PlannedEvent]) -> dict[str, str]:
        """Post events in batches; event id → the demand that it became. Raises RequestFailed."""
        demands: dict[str, str] = {}
        for start in range(0, len(events), BATCH):
            batch = [event.to_cloudevent(self._property) for event in events[start : start + BATCH]]
            headers = self._source | CLOUDEVENTS
            reply = await self._send(_EventResults, "POST", "/v1/events", headers, batch)
            for result in reply.results:
                if result.status == "rejected":
                    raise RequestFailed(str(result.problem))
                if result.demand is not None:
                    demands[result.id] = result.demand
        return demands

    async def perform_action(self, case: str, action: CaseAction, key: str) -> bool:
        """Take an action on a case; false where it was refused."""
        body: dict[str, object] = {"action": action.action, "data": action.data}
        if action.at is not None:
            body["at"] = action.at.isoformat()
        path = f"/v1/cases/{case}/actions"
        return await self._post_unless_refused(path, action.by, key, body, action.action)

    async def record_attempt(self, followup: str, by: str, key: str, body: Mapping[str, object]) -> bool:
        """Record an attempt at a follow-up; false where it was refused."""
        return await self._post_unless_refused(f"/v1/followups/{followup}/attempts", by, key, body, "attempt")

    async def _post_unless_refused(
        self, path: str, by: str, key: str, body: Mapping[str, object], action: str
    ) -> bool:
        headers = self._keys[by] | JSON | {"Idempotency-Key": key}
        reply = await self._http.post(path, headers=headers, content=msgspec.json.encode(body))
        if reply.status_code in REFUSALS:
            problem = msgspec.json.decode(reply.content, type=_Problem)
            self.refused[f"{action}: {problem.type or problem.title}"] += 1
            return False
        _check_status(reply)
        return True

    async def get_case_details(self, case: str) -> CaseDetails:
        """What the case is about."""
        reply = await self._send(_Case, "GET", f"/v1/cases/{case}", self._admin)
        return reply.details or CaseDetails()

    async def list_rates(self, window: str) -> list[RateFigures]:
        """All rates of a window as of now."""
        path = f"/v1/kpis?property={self._property}&window={window}"
        return (await self._send(_Rates, "GET", path, self._admin)).items

    async def _send(
        self, kind: type[T], method: str, path: str, headers: Mapping[str, str], body: object = None
    ) -> T:
        content = b"" if body is None else msgspec.json.encode(body)
        reply = await self._http.request(method, path, headers={**JSON, **headers}, content=content)
        _check_status(reply)
        return msgspec.json.decode(reply.content, type=kind)


def _authorization(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def _check_status(reply: httpx.Response) -> None:
    if reply.status_code >= 300:
        raise RequestFailed(
            f"{reply.request.method} {reply.request.url.path}: {reply.status_code} {reply.text}"
        )
