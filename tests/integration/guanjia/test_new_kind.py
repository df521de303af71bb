"""A kind is one file: `laundry`, which no code knows, laid into the properties folder, works everywhere."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from typer.testing import CliRunner

from guanjia.cli.main import app
from guanjia.process import SERVICES, Process
from services.dispatch.domain.workflow.loader import load_workflows
from services.dispatch.domain.workflow.mermaid import render_workflows
from shared.clock import ManualClock
from shared.properties.kind_files import WorkflowRefused
from shared.settings import Settings
from tests.support.properties import write_property
from tests.support.waiting import eventually

LAUNDRY = Path(__file__).with_name("laundry.toml")
MONDAY = datetime(2026, 11, 23, 2, tzinfo=UTC)
DEMAND = {"property": "tower", "kind": "laundry", "summary": "两袋衣物"}
DETAILS = {"bags": 2, "fabric": "silk", "back_by": "2026-11-24T18:00:00+08:00"}
Json = dict[str, Any]


@pytest.fixture
def properties(tmp_path: Path) -> Path:
    """A properties folder with `tower`, and the kind laid into it."""
    folder = tmp_path / "properties"
    write_property(folder, "tower")
    (folder / "workflows").mkdir()
    shutil.copy(LAUNDRY, folder / "workflows")
    return folder


class KindDriver:
    """All four services in one process, on SQLite and the embedded bus, from Monday morning on."""

    def __init__(self, process: Process, clock: ManualClock, http: httpx.AsyncClient) -> None:
        self.process, self.clock, self.http = process, clock, http
        _, key = process.keyring.issue_key("office", ["source", "dispatcher", "manager"], ["tower"], "zhao")
        self.headers = {"Authorization": f"Bearer {key}", "Accept-Language": "en"}

    async def get(self, path: str, **query: str) -> httpx.Response:
        reply = await self.http.get(path, params=query, headers=self.headers)
        assert reply.status_code == 200, reply.text
        return reply

    async def page(self, path: str, language: str, **query: str) -> str:
        return (await self.get(path, lang=language, **query)).text

    async def raise_demand(self, details: Json | None, kind: str = "laundry") -> httpx.Response:
        demand = DEMAND | {"kind": kind} | ({} if details is None else {"details": details})
        return await self.http.post("/v1/demands", json=demand, headers=self.headers)

    async def case(self, case_id: str) -> Json:
        case: Json = (await self.get(f"/v1/cases/{case_id}")).json()
        return case

    async def act(self, case_id: str, action: str) -> httpx.Response:
        self.clock.advance(timedelta(minutes=10))
        path = f"/v1/cases/{case_id}/actions"
        return await self.http.post(path, json={"action": action}, headers=self.headers)

    async def follow_up(self, case_id: str) -> Json:
        items = (await self.get("/v1/followups", case=case_id)).json()["items"]
        return (await self.get(f"/v1/followups/{items[0]['id']}")).json()  # type: ignore[no-any-return]


@asynccontextmanager
async def opened(properties: Path, data: Path) -> AsyncIterator[KindDriver]:
    fields = {"database_url": "", "amqp_url": "", "data_dir": data, "properties_dir": properties,
            "bootstrap_key": "", "public_url": ""}  # fmt: skip
    clock = ManualClock(MONDAY)
    process = Process(list(SERVICES), Settings.model_validate(fields), clock)
    transport = httpx.ASGITransport(process.app())
    await process.start()
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            yield KindDriver(process, clock, http)
    finally:
        await process.stop()


def wrong(reply: httpx.Response) -> list[str]:
    assert reply.status_code == 422, reply.text
    return sorted(error["path"] for error in reply.json()["errors"])


async def test_a_new_kind_is_one_file_from_intake_to_the_rates(properties: Path, tmp_path: Path) -> None:
    async with opened(properties, tmp_path / "data") as driver:
        # What it asks for is told, and checked before it is accepted.
        kinds = (await driver.get("/v1/kinds", property="tower")).json()["items"]
        (laundry,) = [kind for kind in kinds if kind["kind"] == "laundry"]
        assert laundry["names"] == {"zh": "代洗衣物", "en": "Laundry service"}
        assert (laundry["perspective"], laundry["workflow"]) == (
            "business",
            {"name": "laundry", "version": 1},
        )
        assert [(f["name"], f["type"], f["required"]) for f in laundry["fields"]] == [
            ("bags", "int", True), ("back_by", "timestamp", False), ("fabric", "enum", False),
        ]  # fmt: skip
        assert laundry["fields"][2]["choices"][0] == {"value": "silk", "names": {"zh": "真丝", "en": "Silk"}}
        assert wrong(await driver.raise_demand(None)) == ["data.details.bags"]
        bad = DETAILS | {"bags": "two", "fabric": "wool", "starch": True}
        assert wrong(await driver.raise_demand(bad)) == [
            "data.details.bags", "data.details.fabric", "data.details.starch",
        ]  # fmt: skip
        assert wrong(await driver.raise_demand(DETAILS, kind="ironing")) == ["data.kind"]
        accepted = await driver.raise_demand(DETAILS)
        assert accepted.status_code == 202, accepted.text
        case_id = accepted.json()["demand"]

        # Its case runs by its own states; a step that requires a stamp is not there before the stamp is.
        case = await eventually(lambda: driver.case(case_id))
        assert (case["state"], case["perspective"], case["number"][:3]) == ("asked_for", "business", "XY-")
        assert [deadline["clock"] for deadline in case["deadlines"]] == ["respond"]
        assert "wash" not in {action["action"] for action in case["actions"]}
        assert (await driver.act(case_id, "wash")).status_code == 409
        assert (await driver.act(case_id, "agree_price")).status_code == 200

        # Board and case page speak of it in the reader's words.
        for language, kind, state, stamp, bags, silk in (
            ("zh", "代洗衣物", "待取衣", "住户已认可价格", "袋数", "真丝"),
            ("en", "Laundry service", "To be fetched", "The price is agreed", "Bags", "Silk"),
        ):
            board = await driver.page("/", language, view="all", kind="laundry")
            assert f'<option value="laundry" selected>{kind}</option>' in board
            assert case["number"] in board
            page = await driver.page(f"/cases/{case_id}", language)
            assert all(word in page for word in (kind, state, stamp, bags, silk))
            assert "price_agreed" not in page

        for action in ("wash", "bring_back"):
            reply = await driver.act(case_id, action)
            assert reply.status_code == 200, reply.text

        # The resident is asked by a form that names it, and the answer closes the case.
        followup = await eventually(lambda: driver.follow_up(case_id))
        assert (followup["kind"], followup["line"]) == ("laundry", "customer_service")
        form = urlsplit(followup["link"]).path
        assert "The laundry that came back on 2026-11-23" in (await driver.http.get(f"{form}?lang=en")).text
        assert "2026-11-23 送回的衣物" in (await driver.http.get(f"{form}?lang=zh")).text
        assert (await driver.http.post(form, data={"rating": "5"})).status_code == 303
        assert await eventually(lambda: driver.case(case_id), lambda case: case["state"] == "closed")

        # It is counted, and shown behind the rate.
        driver.clock.advance(timedelta(hours=25))
        evidence = "/v1/kpis/follow_up/evidence"
        counted = await eventually(
            lambda: driver.get(evidence, property="tower", window="month", side="numerator"),
            lambda reply: bool(reply.json()["items"]),
        )
        (item,) = counted.json()["items"]
        assert (item["case"], item["number"], item["demand_kind"]) == (case_id, case["number"], "laundry")
        assert (counted.json()["figure"]["numerator"], counted.json()["figure"]["met"]) == ("1", True)
        page = await driver.page("/rates/follow_up", "zh", property="tower", side="numerator")
        assert "代洗衣物" in page

    # It is drawn like the others.
    chapter = render_workflows(load_workflows(driver.process.settings.workflow_folders))
    assert "## laundry · 洗衣 (version 1)" in chapter
    assert "`bags`: int, `back_by`?: timestamp, `fabric`?: enum[silk,cotton]" in chapter
    assert "| `price_agreed` | 住户已认可价格 | `agree_price` |  | `wash` |" in chapter


async def test_a_case_whose_file_is_gone_goes_on_and_new_ones_are_refused(
    properties: Path, tmp_path: Path
) -> None:
    async with opened(properties, tmp_path / "data") as driver:
        case_id = (await driver.raise_demand(DETAILS)).json()["demand"]
        await eventually(lambda: driver.case(case_id))
    (properties / "workflows" / "laundry.toml").unlink()
    async with opened(properties, tmp_path / "data") as driver:
        assert wrong(await driver.raise_demand(DETAILS)) == ["data.kind"]
        assert "laundry" in await driver.page("/", "en", view="all")
        for action in ("agree_price", "wash", "bring_back"):
            assert (await driver.act(case_id, action)).status_code == 200
        followup = await eventually(lambda: driver.follow_up(case_id))
        form = urlsplit(followup["link"]).path
        assert (await driver.http.get(f"{form}?lang=en")).status_code == 200


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('en = "Laundry service"\n', "", r"kinds\.laundry: .*`en`"),
        ('en = "Silk"', 'en = ""', r"kinds\.laundry\.fields\.fabric\.choices\.silk\.en: needs a text"),
        ("[kinds.laundry]", "[kinds.repair]", r"kinds\.repair: is served by .*repair\.toml already"),
        ('to = "washing"', 'to = "ironing"', r"steps\[1\] \(wash\)\.to: there is no state ironing"),
    ],
)
def test_a_mistake_in_the_installations_own_file_stops_the_start(
    properties: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, reason: str
) -> None:
    file = properties / "workflows" / "laundry.toml"
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    fields = {"data_dir": tmp_path / "data", "properties_dir": properties, "database_url": "", "amqp_url": ""}
    with pytest.raises(WorkflowRefused, match=rf"workflows/laundry\.toml: .*{reason}"):
        Process(list(SERVICES), Settings.model_validate(fields))
    monkeypatch.setenv("GUANJIA_PROPERTIES_DIR", str(properties))
    checked = CliRunner().invoke(app, ["workflow", "check"])
    assert checked.exit_code == 1
    assert str(file) in checked.output
    assert "repair.toml: repair 2: repair" in checked.output


def test_checking_says_of_every_file_that_it_is_sound(
    properties: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GUANJIA_PROPERTIES_DIR", str(properties))
    checked = CliRunner().invoke(app, ["workflow", "check"])
    assert checked.exit_code == 0, checked.output
    assert f"ok  {properties / 'workflows' / 'laundry.toml'}: laundry 1: laundry" in checked.output
