"""A process driven by hand: what is due fires in order, and what follows is done before time moves on."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from guanjia.process import SERVICES, Process
from guanjia.simulation.virtual_process import VirtualProcess
from shared.clock import ManualClock
from shared.settings import Settings

START = datetime(2026, 11, 23, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ADMIN = {"Authorization": "Bearer the-admin-key"}


@asynccontextmanager
async def open_virtual_process(folder: Path, properties: Path) -> AsyncIterator[VirtualProcess]:
    fields = {"data_dir": folder / "data", "properties_dir": properties, "bootstrap_key": "the-admin-key",
            "database_url": "", "amqp_url": ""}  # fmt: skip
    clock = ManualClock(START)
    async with VirtualProcess(
        Process(list(SERVICES), Settings.model_validate(fields), clock), clock
    ) as virtual:
        yield virtual


async def raise_demand(virtual: VirtualProcess) -> str:
    body = {"property": "tower", "kind": "repair", "summary": "It leaks", "priority": "normal"}
    reply = await virtual.http.post("/v1/demands", json=body, headers=ADMIN)
    assert reply.status_code == 202, reply.text
    await virtual.run_pending()
    return str(reply.json()["demand"])


async def list_history(virtual: VirtualProcess, case: str) -> list[dict[str, Any]]:
    reply = await virtual.http.get(f"/v1/cases/{case}", headers=ADMIN)
    assert reply.status_code == 200, reply.text
    return list(reply.json()["history"])


async def test_a_demand_is_dispatched_without_time_going_by(tmp_path: Path, properties_folder: Path) -> None:
    async with open_virtual_process(tmp_path, properties_folder) as virtual:
        entries = await list_history(virtual, await raise_demand(virtual))
        assert [entry["action"] for entry in entries] == ["raise", "assign"]
        assert virtual.clock.now() == START
        assert await virtual.count_unsettled() == {}


async def test_what_is_due_happens_at_its_own_time_and_in_its_order(
    tmp_path: Path, properties_folder: Path
) -> None:
    async with open_virtual_process(tmp_path, properties_folder) as virtual:
        case = await raise_demand(virtual)
        await virtual.advance(40 * MINUTE)
        entries = [(entry["action"], entry["recorded_at"]) for entry in await list_history(virtual, case)]
        lapsed_at = [at for action, at in entries if action == "lapse"]
        assert lapsed_at == ["2026-11-23T01:15:00Z", "2026-11-23T01:30:00Z"]
        assert [at for action, at in entries if action == "assign"][1:] == lapsed_at
        assert virtual.clock.now() == START + 40 * MINUTE
        assert await virtual.count_unsettled() == {}


async def test_slow_consumers_take_what_is_there_when_it_settles(
    tmp_path: Path, properties_folder: Path
) -> None:
    fields = {"data_dir": tmp_path / "data", "properties_dir": properties_folder, "database_url": "",
            "amqp_url": "", "bootstrap_key": "the-admin-key"}  # fmt: skip
    clock = ManualClock(START)
    process = Process(list(SERVICES), Settings.model_validate(fields), clock)
    event_types: list[str] = []
    virtual = VirtualProcess(process, clock, slow_queues=["kpi.cases"])
    virtual.listen(["kpi.cases"], lambda events: event_types.extend(event.type for event in events))
    async with virtual:
        await raise_demand(virtual)
        assert event_types == ["guanjia.case.opened.v1", "guanjia.case.changed.v1"]
        assert await virtual.count_unsettled() == {"bus": 1}, "both in one message"
        await virtual.settle()
        assert await virtual.count_unsettled() == {}


def test_no_statement_asks_the_database_for_the_time() -> None:
    root = Path(__file__).resolve().parents[2]
    words = ("func.now(", "current_timestamp", "clock_timestamp", "localtimestamp", "utcnow", "datetime('now")
    sources = [path for part in ("shared", "services", "guanjia") for path in (root / part).rglob("*.py")]
    assert len(sources) > 100
    offenders = [p.name for p in sources for word in words if word in p.read_text(encoding="utf-8").lower()]
    assert offenders == []
