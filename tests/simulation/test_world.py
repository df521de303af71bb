"""A world driven by hand: what is due fires in order, and what follows is done before time moves on."""

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
async def a_world(folder: Path, properties: Path) -> AsyncIterator[VirtualProcess]:
    told = {"data_dir": folder / "data", "properties_dir": properties, "bootstrap_key": "the-admin-key",
            "database_url": "", "amqp_url": ""}  # fmt: skip
    clock = ManualClock(START)
    async with VirtualProcess(Process(list(SERVICES), Settings.model_validate(told), clock), clock) as world:
        yield world


async def raised(world: VirtualProcess) -> str:
    body = {"property": "tower", "kind": "repair", "summary": "It leaks", "priority": "normal"}
    answer = await world.http.post("/v1/demands", json=body, headers=ADMIN)
    assert answer.status_code == 202, answer.text
    await world.quiet()
    return str(answer.json()["demand"])


async def history(world: VirtualProcess, case: str) -> list[dict[str, Any]]:
    answer = await world.http.get(f"/v1/cases/{case}", headers=ADMIN)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["history"])


async def test_a_demand_is_dispatched_without_time_going_by(tmp_path: Path, properties_folder: Path) -> None:
    async with a_world(tmp_path, properties_folder) as world:
        entries = await history(world, await raised(world))
        assert [entry["action"] for entry in entries] == ["raise", "assign"]
        assert world.clock.now() == START
        assert await world.left() == {}


async def test_what_is_due_happens_at_its_own_time_and_in_its_order(
    tmp_path: Path, properties_folder: Path
) -> None:
    async with a_world(tmp_path, properties_folder) as world:
        case = await raised(world)
        await world.advance(40 * MINUTE)
        told = [(entry["action"], entry["recorded_at"]) for entry in await history(world, case)]
        lapsed = [at for action, at in told if action == "lapse"]
        assert lapsed == ["2026-11-23T01:15:00Z", "2026-11-23T01:30:00Z"]
        assert [at for action, at in told if action == "assign"][1:] == lapsed
        assert world.clock.now() == START + 40 * MINUTE
        assert await world.left() == {}


async def test_slow_consumers_take_what_is_there_when_it_settles(
    tmp_path: Path, properties_folder: Path
) -> None:
    told = {"data_dir": tmp_path / "data", "properties_dir": properties_folder, "database_url": "",
            "amqp_url": "", "bootstrap_key": "the-admin-key"}  # fmt: skip
    clock = ManualClock(START)
    process = Process(list(SERVICES), Settings.model_validate(told), clock)
    heard: list[str] = []
    listening = {"kpi.cases": lambda events: heard.extend(event.type for event in events)}
    async with VirtualProcess(process, clock, heard=listening, slow=["kpi.cases"]) as world:
        await raised(world)
        assert heard == ["guanjia.case.opened.v1", "guanjia.case.changed.v1"]
        assert await world.left() == {"bus": 1}, "both in one message"
        await world.settle()
        assert await world.left() == {}


def test_no_statement_asks_the_database_for_the_time() -> None:
    root = Path(__file__).resolve().parents[2]
    words = ("func.now(", "current_timestamp", "clock_timestamp", "localtimestamp", "utcnow", "datetime('now")
    sources = [path for part in ("shared", "services", "guanjia") for path in (root / part).rglob("*.py")]
    assert len(sources) > 100
    asking = [p.name for p in sources for word in words if word in p.read_text(encoding="utf-8").lower()]
    assert asking == []
