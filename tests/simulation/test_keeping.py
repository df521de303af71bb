"""A simulation beside real data: kept as a property of its own, served, removed without a trace."""

import asyncio
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from guanjia.serve import SERVICES, Process
from guanjia.simulate.keeping import found, keep, remove
from guanjia.simulate.place import PROPERTY, known_properties, write_property
from guanjia.simulate.running import Refused, simulate
from guanjia.simulate.world import World
from shared.clock import ManualClock
from shared.settings import Settings
from tests.simulation.spans import UNTIL, Taken, live
from tests.support.properties import write_property as write_tower

KEY = "the-admin-key"


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Taken:
    """A simulated day."""
    return live(tmp_path_factory.mktemp("day"), 3, 1)


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """An installation with a property of its own and something in it."""
    write_tower(tmp_path / "properties", "tower")
    told = {"data_dir": tmp_path / "data", "properties_dir": tmp_path / "properties", "bootstrap_key": KEY,
            "database_url": "", "amqp_url": "", "port": 1}  # fmt: skip
    found = Settings.model_validate(told)
    asyncio.run(_post(found, "tower"))
    yield found


async def _post(settings: Settings, prop: str) -> None:
    clock = ManualClock(datetime(2026, 11, 20, tzinfo=UTC))
    async with World(Process(list(SERVICES), settings, clock), clock) as world:
        body = {"property": prop, "kind": "repair", "summary": "It leaks"}
        answer = await world.http.post("/v1/demands", json=body, headers={"Authorization": f"Bearer {KEY}"})
        assert answer.status_code == 202, answer.text
        await world.settle()


def rows(settings: Settings) -> dict[str, list[Any]]:
    """Everything in every table, but for what is the same for all properties."""
    told: dict[str, list[Any]] = {}
    for file in sorted(settings.data_dir.glob("*.db")):
        with sqlite3.connect(file) as connection:
            for (table,) in connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table'"
            ).fetchall():
                if table != "workflow_versions":
                    told[f"{file.stem}.{table}"] = connection.execute(f'SELECT * FROM "{table}"').fetchall()
        connection.close()
    return told


async def test_it_is_served_with_the_same_rates_and_marked(settings: Settings, day: Taken) -> None:
    await keep(day.settings, settings)
    assert "模拟" in known_properties(settings)[PROPERTY].name
    clock = ManualClock(UNTIL)
    headers = {"Authorization": f"Bearer {KEY}"}
    async with World(Process(list(SERVICES), settings, clock), clock) as world:
        assert await _rates(world.http, headers) == day.rates["month"]
        cases = (await world.http.get(f"/v1/cases?property={PROPERTY}&limit=200", headers=headers)).json()
        assert {case["id"] for case in cases["items"]} == set(day.cases)
        assert await world.left() == {}


async def _rates(http: httpx.AsyncClient, headers: dict[str, str]) -> list[tuple[str, str, str]]:
    answer = await http.get(f"/v1/kpis?property={PROPERTY}&window=month", headers=headers)
    return [(rate["kpi"], rate["numerator"], rate["denominator"]) for rate in answer.json()["items"]]


async def test_removing_leaves_nothing_and_touches_nothing_else(settings: Settings, day: Taken) -> None:
    before = rows(settings)
    await keep(day.settings, settings)
    assert (await found(settings)).simulated == day.counts["events"]
    assert await remove(settings) > day.counts["events"]
    assert rows(settings) == before
    assert PROPERTY not in known_properties(settings)


async def test_removing_leaves_nothing_of_what_came_of_it_later(settings: Settings, day: Taken) -> None:
    await keep(day.settings, settings)
    clock = ManualClock(UNTIL)
    async with World(Process(list(SERVICES), settings, clock), clock, slow=["kpi.cases"]) as world:
        await world.advance(timedelta(days=1))
        assert (await world.left())["bus"] > 0
    await remove(settings)
    left = str(rows(settings))
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
    before = rows(settings)
    with pytest.raises(Refused, match="other sources"):
        await simulate(settings, 1, 1, UNTIL, lambda _: None)
    assert rows(settings) == before
