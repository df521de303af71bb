"""Whoever sees something simulated sees that it is: on every page, in every answer, in every gauge."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from guanjia.process import SERVICES, Process
from guanjia.simulation.simulated_property import PROPERTY
from guanjia.simulation.storage import store_simulation
from guanjia.simulation.virtual_process import VirtualProcess
from shared.clock import ManualClock
from shared.settings import Settings
from tests.simulation.spans import UNTIL, simulate
from tests.support.properties import write_property as write_tower

KEY = "the-admin-key"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """An installation with a property of its own, and a simulated day."""
    folder = tmp_path_factory.mktemp("stored")
    day = simulate(tmp_path_factory.mktemp("day"), 3, 1)
    fields = {"data_dir": folder / "data", "properties_dir": folder / "properties", "bootstrap_key": KEY,
            "database_url": "", "amqp_url": ""}  # fmt: skip
    write_tower(folder / "properties", "tower")
    installed = Settings.model_validate(fields)
    asyncio.run(store_simulation(day.settings, installed))
    return installed


@pytest.fixture
async def http(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A client that is signed in, for pages and for answers."""
    clock = ManualClock(UNTIL)
    async with VirtualProcess(Process(list(SERVICES), settings, clock), clock) as virtual:
        virtual.http.headers["Authorization"] = f"Bearer {KEY}"
        reply = await virtual.http.post(
            "/sign-in", data={"key": KEY, "next": "/"}, headers={"Sec-Fetch-Site": "same-origin"}
        )
        assert reply.status_code == 303, reply.text
        yield virtual.http


async def _get_first(http: httpx.AsyncClient, path: str) -> dict[str, str]:
    reply = await http.get(path, params={"property": PROPERTY})
    assert reply.status_code == 200, reply.text
    item: dict[str, str] = reply.json()["items"][0]
    return item


@pytest.mark.parametrize("language", ["zh-CN", "en"])
async def test_every_page_says_so(http: httpx.AsyncClient, language: str) -> None:
    case, followup = await _get_first(http, "/v1/cases"), await _get_first(http, "/v1/followups")
    link = (await http.get(f"/v1/followups/{followup['id']}")).json()["link"]
    pages = ["/", f"/cases/{case['id']}", f"/rates?property={PROPERTY}", httpx.URL(link).path,
             f"/rates/follow_up?property={PROPERTY}"]  # fmt: skip
    for path in pages:
        page = await http.get(path, params=httpx.URL(path).params, headers={"Accept-Language": language})
        assert page.status_code == 200, path
        assert ("（模拟）" in page.text) or ("(simulated)" in page.text), path


async def test_every_answer_and_every_source_names_the_simulated_property(http: httpx.AsyncClient) -> None:
    case, followup = await _get_first(http, "/v1/cases"), await _get_first(http, "/v1/followups")
    assert {case["property"], followup["property"]} == {PROPERTY}
    demand = (await http.get(f"/v1/demands/{case['id']}")).json()
    assert demand["property"] == PROPERTY
    assert demand["source"].startswith("simulated/")
    people = (await http.get("/v1/people", params={"property": PROPERTY})).json()["items"]
    assert people


async def test_every_gauge_of_rates_cases_and_follow_ups_is_labelled_so(http: httpx.AsyncClient) -> None:
    text = (await http.get("/metrics")).text
    ours = [line for line in text.splitlines() if "property=" in line]
    assert len(ours) > 150
    properties = {word for line in ours for word in re.findall(r'property="([^"]*)"', line)}
    assert properties == {PROPERTY, "tower"}


def test_its_file_says_so_in_its_first_line(settings: Settings) -> None:
    file: Path = settings.data_dir / "properties" / PROPERTY / "property.toml"
    assert "simulated" in file.read_text(encoding="utf-8").splitlines()[0]
