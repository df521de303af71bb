"""A simulation beside real data: stored as a property of its own, served, removed without a trace."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection, inspect, text

from guanjia.process import SERVICES, Process
from guanjia.properties import load_all_properties
from guanjia.simulation import storage
from guanjia.simulation.removal import delete_simulation
from guanjia.simulation.run import SimulationRefused, remove_simulation, run_simulation
from guanjia.simulation.simulated_property import PROPERTY, write_property
from guanjia.simulation.storage import count_events, store_simulation
from guanjia.simulation.virtual_process import VirtualProcess
from shared.clock import ManualClock
from shared.database.engine import Database
from shared.settings import Settings
from tests.simulation.spans import UNTIL, SpanResult, simulate
from tests.support.properties import write_property as write_tower
from tests.support.stores import Store

KEY = "the-admin-key"


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> SpanResult:
    """A simulated day."""
    return simulate(tmp_path_factory.mktemp("day"), 3, 1)


@pytest.fixture
def settings(tmp_path: Path, store: Store) -> Iterator[Settings]:
    """An installation with a property of its own and something in it, on each kind of database."""
    write_tower(tmp_path / "properties", "tower")
    fields = {"data_dir": tmp_path / "data", "properties_dir": tmp_path / "properties", "bootstrap_key": KEY,
            "database_url": store.url, "amqp_url": "", "port": 1}  # fmt: skip
    settings = Settings.model_validate(fields)
    asyncio.run(_raise_demand(settings, "tower"))
    yield settings


async def _raise_demand(settings: Settings, prop: str) -> None:
    clock = ManualClock(datetime(2026, 11, 20, tzinfo=UTC))
    async with VirtualProcess(Process(list(SERVICES), settings, clock), clock) as virtual:
        body = {"property": prop, "kind": "repair", "summary": "It leaks"}
        reply = await virtual.http.post("/v1/demands", json=body, headers={"Authorization": f"Bearer {KEY}"})
        assert reply.status_code == 202, reply.text
        await virtual.settle()


async def read_rows(settings: Settings) -> dict[str, list[Any]]:
    """Everything in every table, but for what is the same for all properties."""
    rows_by_table: dict[str, list[Any]] = {}
    for service in ("bus", *SERVICES):
        database = Database(service, settings.database_url, settings.data_dir)
        async with database.snapshot() as connection:
            for table in sorted(await connection.run_sync(_list_tables, service)):
                if table != "workflow_versions":
                    table_name = f'{service}."{table}"' if database.is_postgres else f'"{table}"'
                    rows = await connection.execute(text(f"SELECT * FROM {table_name}"))
                    rows_by_table[f"{service}.{table}"] = sorted(map(repr, rows.all()))
        await database.dispose()
    return rows_by_table


def _list_tables(connection: Connection, service: str) -> list[str]:
    return inspect(connection).get_table_names(
        schema=service if connection.dialect.name == "postgresql" else None
    )


async def test_it_is_served_with_the_same_rates_and_marked(settings: Settings, day: SpanResult) -> None:
    await store_simulation(day.settings, settings)
    assert "模拟" in load_all_properties(settings)[PROPERTY].name
    clock = ManualClock(UNTIL)
    headers = {"Authorization": f"Bearer {KEY}"}
    async with VirtualProcess(Process(list(SERVICES), settings, clock), clock) as virtual:
        assert await _list_rates(virtual.http, headers) == day.rates["month"]
        cases = (await virtual.http.get(f"/v1/cases?property={PROPERTY}&limit=200", headers=headers)).json()
        assert {case["id"] for case in cases["items"]} == set(day.cases)
        assert await virtual.count_unsettled() == {}


async def _list_rates(http: httpx.AsyncClient, headers: dict[str, str]) -> list[tuple[str, str, str]]:
    reply = await http.get(f"/v1/kpis?property={PROPERTY}&window=month", headers=headers)
    return [(rate["kpi"], rate["numerator"], rate["denominator"]) for rate in reply.json()["items"]]


async def test_removing_leaves_nothing_and_touches_nothing_else(settings: Settings, day: SpanResult) -> None:
    before = await read_rows(settings)
    await store_simulation(day.settings, settings)
    assert (await count_events(settings)).simulated == day.counts["events"]
    assert await delete_simulation(settings) > day.counts["events"]
    assert await read_rows(settings) == before
    assert PROPERTY not in load_all_properties(settings)


async def test_removing_leaves_nothing_of_what_came_of_it_later(settings: Settings, day: SpanResult) -> None:
    await store_simulation(day.settings, settings)
    clock = ManualClock(UNTIL)
    async with VirtualProcess(
        Process(list(SERVICES), settings, clock), clock, slow_queues=["kpi.cases"]
    ) as virtual:
        await virtual.advance(timedelta(days=1))
        assert (await virtual.count_unsettled())["bus"] > 0
    await delete_simulation(settings)
    rows_left = str(await read_rows(settings))
    assert "tower" in rows_left
    assert [word for word in (PROPERTY, *day.cases, *_strip_hyphens(day.cases)) if word in rows_left] == []


def _strip_hyphens(ids: list[str]) -> list[str]:
    return [id_.replace("-", "") for id_ in ids]


async def test_it_is_refused_where_there_is_one_already(settings: Settings, day: SpanResult) -> None:
    await store_simulation(day.settings, settings)
    with pytest.raises(SimulationRefused, match="already"):
        await run_simulation(settings, 1, 1, UNTIL, lambda _: None)


async def test_it_is_refused_where_the_name_is_that_of_a_real_property(settings: Settings) -> None:
    write_property(settings.properties_dir)
    with pytest.raises(SimulationRefused, match="configured"):
        await run_simulation(settings, 1, 1, UNTIL, lambda _: None)


async def test_it_is_refused_where_others_posted_under_its_name(settings: Settings, tmp_path: Path) -> None:
    write_property(settings.data_dir / "properties")
    await _raise_demand(settings, PROPERTY)
    before = await read_rows(settings)
    with pytest.raises(SimulationRefused, match="other sources"):
        await run_simulation(settings, 1, 1, UNTIL, lambda _: None)
    assert await read_rows(settings) == before


async def test_what_was_copied_in_part_is_a_simulation_too_and_is_removed_whole(
    settings: Settings, day: SpanResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, copies_left = await read_rows(settings), 11
    copy = storage._copy_table

    async def fails_later(*arguments: Any) -> None:
        nonlocal copies_left
        copies_left -= 1
        if copies_left == 0:
            raise KeyboardInterrupt
        await copy(*arguments)

    monkeypatch.setattr(storage, "_copy_table", fails_later)
    with pytest.raises(KeyboardInterrupt):
        await store_simulation(day.settings, settings)
    assert await read_rows(settings) != before
    with pytest.raises(SimulationRefused, match="already"):
        await run_simulation(settings, 1, 1, UNTIL, lambda _: None)
    assert await delete_simulation(settings) > 0
    assert await read_rows(settings) == before


async def test_nothing_is_there_to_remove_where_nothing_ever_ran(tmp_path: Path, store: Store) -> None:
    fields = {"data_dir": tmp_path / "none", "database_url": store.url, "amqp_url": "", "port": 1}
    assert await remove_simulation(Settings.model_validate(fields)) == 0
