"""Life in the stack: a simulated month up to now, and what is done by hand while everything runs."""

import asyncio
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from guanjia.simulation.simulated_property import PROPERTY
from guanjia.simulation.storage import store_simulation
from shared.ids import new_id
from shared.settings import Settings
from tests.support.children import ChildFailed, plain_environment, read_tail, spawn
from tests.support.waiting import eventually_now

SEED = 7
_ACTIONS_TO_END: tuple[tuple[str, dict[str, Any]], ...] = (
    ("accept", {}), ("arrive", {}), ("complete", {}), ("inspect", {"passed": True}),
)  # fmt: skip


class SimulatedMonth:
    """A month that `guanjia simulate` lives on the embedded defaults while the stack comes up."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder, self._log = folder, folder / "log"
        settings = {"GUANJIA_DATA_DIR": str(folder / "data"), "GUANJIA_PORT": "1"}
        argv = [str(Path(sys.executable).with_name("guanjia")), "simulate", "--seed", str(SEED)]
        env = plain_environment() | settings | {"PATH": os.environ["PATH"]}
        self.child: subprocess.Popen[bytes] = spawn(argv, env=env, log=self._log, cwd=folder)

    def copy_to_postgres(self, database_url: str) -> None:
        """When it is whole, copy it to PostgreSQL, beside the services that run there."""
        if self.child.wait(150) != 0:
            raise ChildFailed(read_tail(self._log, 4000))
        asyncio.run(store_simulation(self._settings("data"), self._settings("moved", database_url)))

    def _settings(self, folder: str, database_url: str = "") -> Settings:
        settings = {"data_dir": self._folder / folder, "database_url": database_url, "amqp_url": ""}
        return Settings.model_validate(settings | {"properties_dir": self._folder / "data" / "properties"})


class TowerActivity:
    """What people do in the tower now."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http
        self.closed = self.waiting = self.assigned = ""

    def perform(self) -> None:
        """One repair from its beginning to its end; one that waits; one told of three days late."""
        now = datetime.now(UTC)
        self.assigned = self._raise_demand(now)
        self.waiting = self._raise_demand(now - timedelta(days=3))
        self.closed = self._complete_repair()
        self._answer_follow_up(self.closed)
        eventually_now(lambda: self.get_case(self.assigned)["assignee"], within=20)
        eventually_now(lambda: self.get_case(self.waiting)["state"], within=20)
        eventually_now(lambda: self.get_case(self.closed)["state"] == "closed", within=20)

    def get_case(self, case_id: str) -> dict[str, Any]:
        """A case as dispatch tells it; empty while it is not there."""
        reply = self.http.get(f"/v1/cases/{case_id}")
        return dict(reply.json()) if reply.status_code == 200 else {"assignee": None, "state": None}

    def _raise_demand(self, at: datetime) -> str:
        data = {"property": PROPERTY, "kind": "repair", "summary": "No hot water", "subject": "water_supply"}
        event_fields = {
            "specversion": "1.0",
            "id": new_id(),
            "source": "/tests/deploy",
            "time": at.isoformat(),
        }
        event = event_fields | {"type": "guanjia.demand.raised.v1", "data": data}
        headers = {"Content-Type": "application/cloudevents+json"}
        reply = self.http.post("/v1/events", json=event, headers=headers).raise_for_status()
        return str(reply.json()["demand"])

    def _complete_repair(self) -> str:
        case_id = self._raise_demand(datetime.now(UTC))
        engineer = eventually_now(lambda: self.get_case(case_id)["assignee"], within=20)
        for action, data in _ACTIONS_TO_END:
            actor = "hua.min" if action == "inspect" else engineer
            body = {"action": action, "actor": actor, "data": data}
            reply = self.http.post(f"/v1/cases/{case_id}/actions", json=body)
            assert reply.status_code == 200, reply.text
        return case_id

    def _answer_follow_up(self, case_id: str) -> None:
        def list_follow_ups() -> Any:
            return self.http.get("/v1/followups", params={"case": case_id}).json()["items"]

        (follow_up,) = eventually_now(list_follow_ups, within=20)
        body = {"outcome": "answered", "channel": "phone", "actor": "hua.min", "answer": {"rating": 5}}
        reply = self.http.post(f"/v1/followups/{follow_up['id']}/attempts", json=body)
        assert reply.status_code == 200, reply.text
