"""A little life, posted as other systems and people would: enough for every gauge to have something."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from shared.ids import new_id
from tests.support.waiting import eventually_now

PROPERTY = "tower"
TOWER = """\
name = "Test Tower"
timezone = "Asia/Shanghai"

[dispatch]
automatic = false

[milestones]
taken_over_on = 2026-06-01

[[people]]
id = "wang"
name = "Wang Wei"
roles = ["engineer"]
skills = ["*"]

[[people]]
id = "zhao"
name = "Zhao Min"
roles = ["dispatcher", "quality"]
skills = []
"""
_REPAIR: tuple[tuple[int, str, str, dict[str, Any]], ...] = (
    (1, "assign", "zhao", {"engineer": "wang"}),
    (2, "accept", "wang", {}),
    (9, "arrive", "wang", {}),
    (40, "complete", "wang", {}),
    (60, "inspect", "zhao", {"passed": True}),
)


class Life:
    """What happens in the tower, three days ago."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http
        self.began = datetime.now(UTC).replace(microsecond=0) - timedelta(days=3)
        self.closed = self.waiting = self.assigned = ""

    def live(self) -> None:
        """All of it."""
        self._facts()
        self.closed, self.waiting = self._repair(), self._repair()
        self._follow_up(self.closed)
        self.assigned = self._raise("guanglong", datetime.now(UTC))
        eventually_now(lambda: self.case(self.assigned)["assignee"], within=20)
        eventually_now(lambda: self.case(self.closed)["state"] == "closed", within=20)

    def case(self, case_id: str) -> dict[str, Any]:
        """A case as dispatch tells it; empty while it is not there."""
        answer = self.http.get(f"/v1/cases/{case_id}")
        return dict(answer.json()) if answer.status_code == 200 else {"assignee": None, "state": None}

    def _facts(self) -> None:
        asked = {"questionnaire": "q", "respondent": "r1", "reason": "service"}
        ratings = {"customer_service": 5, "security": 5, "maintenance": 4, "cleaning": 5, "greening": 2}
        due = (self.began + timedelta(hours=1)).isoformat()
        told: list[tuple[str, dict[str, Any]]] = [
            ("property.occupancy", {"occupied_units": 120}),
            ("equipment.registered", {"equipment": "lift-1", "system": "elevator", "critical": True}),
            ("fee.billed", {"bill": "b1", "unit": "12A", "amount": "880.50", "due_at": due}),
            ("fee.paid", {"payment": "p1", "bill": "b1", "amount": "880.50"}),
            ("inspection.recorded", {"inspection": "i1", "line": "cleaning", "checked": 40, "passed": 40}),
            ("inspection.recorded", {"inspection": "i2", "line": "greening", "checked": 20, "passed": 20}),
            ("planting.counted", {"area": "roof", "planted": 60, "living": 60}),
            ("questionnaire.answered", asked | {"ratings": ratings}),
        ]  # fmt: skip
        events = [self._event(f"guanjia.{kind}.v1", PROPERTY, self.began, data) for kind, data in told]
        kind = {"Content-Type": "application/cloudevents-batch+json"}
        answer = self.http.post("/v1/events", json=events, headers=kind).raise_for_status()
        assert {result["status"] for result in answer.json()["results"]} == {"accepted"}, answer.text

    def _raise(self, property_id: str, at: datetime) -> str:
        data = {"kind": "repair", "summary": "No hot water", "subject": "water_supply"}
        event = self._event("guanjia.demand.raised.v1", property_id, at, data)
        kind = {"Content-Type": "application/cloudevents+json"}
        answer = self.http.post("/v1/events", json=event, headers=kind).raise_for_status()
        return str(answer.json()["demand"])

    def _event(self, kind: str, property_id: str, at: datetime, data: dict[str, Any]) -> dict[str, Any]:
        named = {"specversion": "1.0", "id": new_id(), "source": "/tests/deploy", "type": kind}
        return named | {"time": at.isoformat(), "data": {"property": property_id, **data}}

    def _repair(self) -> str:
        case_id = self._raise(PROPERTY, self.began)
        eventually_now(lambda: self.case(case_id)["state"], within=20)
        for minutes, action, actor, data in _REPAIR:
            at = (self.began + timedelta(minutes=minutes)).isoformat()
            body = {"action": action, "actor": actor, "at": at, "data": data}
            answer = self.http.post(f"/v1/cases/{case_id}/actions", json=body)
            assert answer.status_code == 200, answer.text
        return case_id

    def _follow_up(self, case_id: str) -> None:
        def found() -> Any:
            return self.http.get("/v1/followups", params={"case": case_id}).json()["items"]

        (follow_up,) = eventually_now(found, within=20)
        at = (self.began + timedelta(minutes=90)).isoformat()
        body = {"outcome": "answered", "channel": "phone", "actor": "zhao", "at": at, "answer": {"rating": 5}}
        answer = self.http.post(f"/v1/followups/{follow_up['id']}/attempts", json=body)
        assert answer.status_code == 200, answer.text
