"""A simulation beside real data: kept as a property of its own, served, removed without a trace."""

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
from guanjia.simulation.run import Refused, simulate, take_away
from guanjia.simulation.simulated_property import PROPERTY, write_property
from guanjia.simulation.storage import found, keep, remove
from guanjia.simulation.virtual_process import VirtualProcess
from shared.clock import ManualClock
from shared.database.engine import Database
from shared.settings import Settings
from tests.simulation.spans import UNTIL, Taken, live
from tests.support.properties import write_property as write_tower
from tests.support.stores import Store

KEY = "the-admin-key"


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Taken:
    """A simulated day."""
    return live(tmp_path_factory.mktemp("day"), 3, 1)


@pytest.fixture
def settings(tmp_path: Path, store: Store) -> Iterator[Settings]:
    """An installation with a property of its own and something in it, on each kind of database."""
    write_tower(tmp_path / "properties", "tower")
    told = {"data_dir": tmp_path / "data", "properties_dir": tmp_path / "properties", "bootstrap_key": KEY,
            "database_url": store.url, "amqp_url": "", "port": 1}  # fmt: skip
    found = Settings.model_validate(told)
    asyncio.run(_post(found, "tower"))
    yield found


async def _post(settings: Settings, prop: str) -> None:
    clock = ManualClock(datetime(2026, 11, 20, tzinfo=UTC))
    async with VirtualProcess(Process(list(SERVICES), settings, clock), clock) as world:
        body = {"property": prop, "kind": "repair", "summary": "It leaks"}
        answer = await world.http.post("/v1/demands", json=body, headers={"Authorization": f"Bearer {KEY}"})
        assert answer.status_code == 202, answer.text
        await world.settle()


async def rows(settings: Settings) -> dict[str, list[Any]]:
    """Everything in every table, but for what is the same for all properties."""
    told: dict[str, list[Any]] = {}
    for service in ("bus", *SERVICES):
        database = Database(service, settings.database_url, settings.data_dir)
        async with database.snapshot() as connection:
            for table in sorted(await connection.run_sync(_tables, service)):
                if table != "workflow_versions":
                    place = f'{service}."{table}"' if database.is_postgres else f'"{table}"'
                    found = await connection.execute(text(f"SELECT * FROM {place}"))
                    told[f"{service}.{table}"] = sorted(map(repr, found.all()))
        await database.dispose()
    return told


def _tables(connection: Connection, service: str) -> list[str]:
    return inspect(connection).get_table_names(
        schema=service if connection.dialect.name == "postgresql" else None
    )


async def test_it_is_served_with_the_same_rates_and_marked(settings: Settings, day: Taken) -> None:
    await keep(day.settings, settings)
    assert "模拟" in load_all_properties(settings)[PROPERTY].name
    clock = ManualClock(UNTIL)
    headers = {"Authorization": f"Bearer {KEY}"}
    async with VirtualProcess(Process(list(SERVICES), settings, clock), clock) as world:
        assert await _rates(world.http, headers) == day.rates["month"]
        cases = (await world.http.get(f"/v1/cases?property={PROPERTY}&limit=200", headers=headers)).json()
        assert {case["id"] for case in cases["items"]} == set(day.cases)
        assert await world.left() == {}


async def _rates(http: httpx.AsyncClient, headers: dict[str, str]) -> list[tuple[str, str, str]]:
    answer = await http.get(f"/v1/kpis?property={PROPERTY}&window=month", headers=headers)
    return [(rate["kpi"], rate["numerator"], rate["denominator"]) for rate in answer.json()["items"]]


async def test_removing_leaves_nothing_and_touches_nothing_else(settings: Settings, day: Taken) -> None:
    before = await rows(settings)
    await keep(day.settings, settings)
    assert (await found(settings)).simulated == day.counts["events"]
    assert await remove(settings) > day.counts["events"]
    assert await rows(settings) == before
    assert PROPERTY not in load_all_properties(settings)


async def test_removing_leaves_nothing_of_what_came_of_it_later(settings: Settings, day: Taken) -> None:
    await keep(day.settings, settings)
    clock = ManualClock(UNTIL)
    async with VirtualProcess(Process(list(SERVICES), settings, clock), clock, slow=["kpi.cases"]) as world:
        await world.advance(timedelta(days=1))
        assert (await world.left())["bus"] > 0
    await remove(settings)
    left = str(await rows(settings))
    assert "tower" in left
    assert [word for word in (PROPERTY, *day.cases, *_packed(day.cases)) if word in left] == []


def _packed(ids: list[str]) -> list[str]:
    return [id_.replace("-", "") for id_ in ids]


async def test_it_is_refused_where_there_is_one_already(settings: Settings, day: Taken) -> None:
    await keep(day.settings, settings)
    with pytest.raises(Refused, match="already"):
        await simulate(settings, 1, 1, UNTIL, lambda _: None)


async def test_it_is_refused_where_the_name_is_that_of_a_real_property(settings: Settings) -> None:
    write_property(settings.properties_dir)
    with pytest.raises(Refused, match="configured"):
        await simulate(settings, 1, 1, UNTIL, lambda _: None)


async def test_it_is_refused_where_others_posted_under_its_name(settings: Settings, tmp_path: Path) -> None:
    write_property(settings.data_dir / "properties")
    await _post(settings, PROPERTY)
    before = await rows(settings)
    with pytest.raises(Refused, match="other sources"):
        await simulate(settings, 1, 1, UNTIL, lambda _: None)
    assert await rows(settings) == before


async def test_what_was_kept_in_part_is_a_simulation_too_and_is_removed_whole(
    settings: Settings, day: Taken, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, left = await rows(settings), 11
    copy = storage._copy

    async def fails_later(*told: Any) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise KeyboardInterrupt
        await copy(*told)

    monkeypatch.setattr(storage, "_copy", fails_later)
    with pytest.raises(KeyboardInterrupt):
        await keep(day.settings, settings)
    assert await rows(settings) != before
    with pytest.raises(Refused, match="already"):
        await simulate(settings, 1, 1, UNTIL, lambda _: None)
    assert await remove(settings) > 0
    assert await rows(settings) == before


async def test_nothing_is_there_to_remove_where_nothing_ever_ran(tmp_path: Path, store: Store) -> None:
    told = {"data_dir": tmp_path / "none", "database_url": store.url, "amqp_url": "", "port": 1}
    assert await take_away(Settings.model_validate(told)) == 0
