"""The edge is one: every list and every keyed POST that the OpenAPI document names behaves alike."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from guanjia.process import SERVICES, Process
from shared.clock import ManualClock
from shared.http.pagination import MAX_LIMIT, Cursor
from shared.ids import new_id
from shared.messages.cloudevents import Event, encode
from shared.messages.facts import FeeBilled
from shared.messaging.bus import Delivery
from shared.settings import Settings
from tests.contract.samples import BEFORE, NOW, SAMPLES, demand
from tests.support.properties import write_property

Json = dict[str, Any]
CASES = 3
NEEDED = {"kpi": "fee_collection"}
"""Parts of paths of lists that are not an id."""


@dataclass
class Origin:
    """All four services on one origin, without background work: nothing happens but what a test does."""

    process: Process
    http: httpx.AsyncClient
    document: Json
    case_id: str = ""
    followup_id: str = ""

    def headers(self, *roles: str, properties: list[str] | None = None) -> dict[str, str]:
        """Headers of somebody with these roles."""
        _, key = self.process.keyring.issue_key("tester", list(roles), properties, None)
        return {"Authorization": f"Bearer {key}", "Accept-Language": "en"}

    async def deliver(self, queue: str, *events: Event) -> None:
        """Deliver events to the service whose queue that is."""
        service = next(s for s in self.process.services if queue.startswith(f"{s.name}."))
        await service.consumers()[queue]([Delivery(queue=queue, body=encode(event)) for event in events])

    def lists(self) -> dict[str, list[Json]]:
        """Path → parameters of every GET whose reply holds `items` and `next`."""
        schemas = self.document["components"]["schemas"]
        lists = {}
        for path, methods in self.document["paths"].items():
            get = methods.get("get", {})
            reply = get.get("responses", {}).get("200", {}).get("content", {}).get("application/json")
            name = (reply or {}).get("schema", {}).get("$ref", "").rpartition("/")[2]
            if {"items", "next"} <= schemas.get(name, {}).get("properties", {}).keys():
                lists[path] = get["parameters"]
        return lists

    def keyed_posts(self) -> list[str]:
        """The paths whose POST takes an `Idempotency-Key`."""
        paths = self.document["paths"].items()
        keyed = [path for path, methods in paths if _takes_key(methods.get("post", {}))]
        return sorted(keyed)


def _takes_key(operation: Json) -> bool:
    return any(parameter["name"] == "Idempotency-Key" for parameter in operation.get("parameters", []))


@asynccontextmanager
async def open_origin(folder: Path, properties: Path) -> AsyncIterator[Origin]:
    settings = Settings(
        database_url="", amqp_url="", bootstrap_key="", data_dir=folder, properties_dir=properties
    )
    process = Process(list(SERVICES), settings, ManualClock(NOW))
    for service in process.services:
        await service.migrate_and_prepare()
        await service.bus.start({})
        service.ready = True
    transport = httpx.ASGITransport(process.app())
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            yield Origin(process, http, (await http.get("/openapi.json")).json())
    finally:
        await process.stop()


@pytest.fixture
async def origin(tmp_path: Path, properties_folder: Path) -> AsyncIterator[Origin]:
    """With three cases, followed up, three bills, and three keys: every list has more than one page."""
    write_property(properties_folder, "annex")
    async with open_origin(tmp_path / "data", properties_folder) as origin:
        ids = [new_id() for _ in range(CASES)]
        origin.case_id = ids[0]
        for id_ in ids:
            await origin.deliver("dispatch.demands", Event.of(demand(id_), source="test", time=BEFORE))
            for queue in ("survey.cases", "kpi.cases"):
                await origin.deliver(queue, Event.of(SAMPLES[queue](id_), source="test", time=BEFORE))
            bill = FeeBilled(property="tower", bill=id_, amount="12.50", due_at=BEFORE)
            await origin.deliver("kpi.facts", Event.of(bill, source="test", time=BEFORE))
            key = {"name": f"key {id_}", "roles": ["source"]}
            posted = await origin.http.post("/v1/keys", json=key, headers=origin.headers("admin"))
            assert posted.status_code == 201
        followups = await origin.http.get("/v1/followups", headers=origin.headers("admin"))
        origin.followup_id = followups.json()["items"][0]["id"]
        yield origin


def address(path: str, parameters: list[Json], **query: str) -> str:
    """A path with its parts filled in, asking for the tower where a property can be named."""
    named = {parameter["name"] for parameter in parameters}
    query_property = {"property": "tower"} if "property" in named else {}
    return f"{path.format(**NEEDED)}?{urlencode(query_property | query, safe=':+')}"


def paths_of(reply: httpx.Response) -> list[str]:
    """The fields that a problem names."""
    return [error["path"] for error in reply.json().get("errors", [])]


async def test_there_are_lists_in_every_service(origin: Origin) -> None:
    assert {
        "/v1/people", "/v1/keys", "/v1/cases", "/v1/roster", "/v1/followups", "/v1/kpis",
        "/v1/kpis/{kpi}/evidence",
    } <= origin.lists().keys()  # fmt: skip


async def test_every_list_is_walked_page_by_page_without_a_gap_or_a_repetition(origin: Origin) -> None:
    headers = origin.headers("admin")
    for path, parameters in origin.lists().items():
        complete = (
            await origin.http.get(address(path, parameters, limit=str(MAX_LIMIT)), headers=headers)
        ).json()
        assert len(complete["items"]) > 1 and complete["next"] is None, path
        walked, cursor = [], None
        while True:
            more = {"limit": "1"} | ({"cursor": cursor} if cursor else {})
            reply = await origin.http.get(address(path, parameters, **more), headers=headers)
            assert reply.status_code == 200, (path, reply.text)
            walked += reply.json()["items"]
            cursor = reply.json()["next"]
            if cursor is None:
                break
        assert walked == complete["items"], path


async def test_every_list_refuses_a_limit_or_a_cursor_that_is_none(origin: Origin) -> None:
    headers = origin.headers("admin")
    foreign = Cursor("elsewhere", tuple[str]).encode(("x",))
    wrong = [("limit", "0"), ("limit", "201"), ("limit", "x"), ("cursor", "bm8"), ("cursor", "é")]
    wrong += [("cursor", foreign), ("cursor", "x" * 3000), ("cursor", "\x00")]
    for path, parameters in origin.lists().items():
        for name, value in wrong:
            reply = await origin.http.get(address(path, parameters, **{name: value}), headers=headers)
            assert reply.status_code == 422, (path, name, value, reply.text)
            assert paths_of(reply) in ([name], ["query"]), (path, reply.text)


async def test_no_list_takes_the_cursor_of_another(origin: Origin) -> None:
    headers, lists = origin.headers("admin"), origin.lists()
    cursors = {
        path: (await origin.http.get(address(path, parameters, limit="1"), headers=headers)).json()["next"]
        for path, parameters in lists.items()
    }
    for path, parameters in lists.items():
        for other, cursor in cursors.items():
            status = (
                await origin.http.get(address(path, parameters, cursor=cursor), headers=headers)
            ).status_code
            assert status == (200 if other == path else 422), (path, other)


async def test_an_unknown_property_is_404_and_one_of_others_403_in_every_list(origin: Origin) -> None:
    mine = origin.headers("admin", properties=["tower"])
    for path, parameters in origin.lists().items():
        if any(parameter["name"] == "property" for parameter in parameters):
            for name, status in (("nowhere", 404), ("annex", 403), ("tower", 200)):
                reply = await origin.http.get(address(path, parameters, property=name), headers=mine)
                assert reply.status_code == status, (path, name, reply.text)


async def test_every_time_of_a_query_takes_a_raw_plus_and_is_bounded(origin: Origin) -> None:
    headers, seen = origin.headers("admin"), set()
    for path, parameters in origin.lists().items():
        for name in (p["name"] for p in parameters if _is_time(p["schema"])):
            seen.add((path, name))
            for value, status in (
                ("2026-11-23T00:00:00+08:00", 200),
                ("2026-11-23T00:00:00", 422),
                ("1999-12-31T23:59:59Z", 422),
                ("2101-01-01T00:00:00Z", 422),
                ("yesterday", 422),
            ):
                reply = await origin.http.get(address(path, parameters, **{name: value}), headers=headers)
                assert reply.status_code == status, (path, name, value, reply.text)
                assert status == 200 or paths_of(reply) == [name], (path, reply.text)
    assert {name for _, name in seen} >= {"at", "due_before"}


def _is_time(schema: Json) -> bool:
    return any(kind.get("format") == "date-time" for kind in (schema, *schema.get("anyOf", [])))


async def test_no_list_takes_a_parameter_that_it_does_not_know(origin: Origin) -> None:
    for path, parameters in origin.lists().items():
        reply = await origin.http.get(
            address(path, parameters, colour="red"), headers=origin.headers("admin")
        )
        assert reply.status_code == 422, (path, reply.text)


Bodies = Callable[[Origin], Awaitable[tuple[str, Json, Json]]]


async def demand_bodies(_: Origin) -> tuple[str, Json, Json]:
    body = {"property": "tower", "kind": "repair", "summary": "The tap drips"}
    return "/v1/demands", body, body | {"summary": "The light is out"}


async def action_bodies(origin: Origin) -> tuple[str, Json, Json]:
    note = {"action": "note", "data": {"text": "seen"}}
    return f"/v1/cases/{origin.case_id}/actions", note, {"action": "note", "data": {"text": "other"}}


async def attempt_bodies(origin: Origin) -> tuple[str, Json, Json]:
    body = {"outcome": "no_answer", "channel": "phone"}
    return f"/v1/followups/{origin.followup_id}/attempts", body, body | {"channel": "visit"}


KEYED: dict[str, Bodies] = {
    "/v1/demands": demand_bodies,
    "/v1/cases/{id}/actions": action_bodies,
    "/v1/followups/{id}/attempts": attempt_bodies,
}
"""Path → where to post, a body, and another one."""


async def test_every_keyed_post_has_a_row_here(origin: Origin) -> None:
    assert origin.keyed_posts() == sorted(KEYED)


@pytest.mark.parametrize("path", sorted(KEYED))
async def test_a_key_again_is_harmless_and_with_another_request_refused(origin: Origin, path: str) -> None:
    target, body, other = await KEYED[path](origin)
    keyed = origin.headers("admin") | {"Idempotency-Key": "k" * 200}
    first = await origin.http.post(target, json=body, headers=keyed)
    again = await origin.http.post(target, json=body, headers=keyed)
    assert first.status_code == again.status_code and first.is_success, (first.text, again.text)
    one, two = first.json(), again.json()
    assert {**one, "status": None} == {**two, "status": None}, "the same reply but for `duplicate`"
    refused = await origin.http.post(target, json=other, headers=keyed)
    assert refused.status_code == 409, refused.text


@pytest.mark.parametrize("path", sorted(KEYED))
@pytest.mark.parametrize("key", ["", "x" * 201, "a\tb"])
async def test_a_key_that_is_none_is_refused(origin: Origin, path: str, key: str) -> None:
    target, body, _ = await KEYED[path](origin)
    keyed = origin.headers("admin") | {"Idempotency-Key": key}
    reply = await origin.http.post(target, json=body, headers=keyed)
    assert (reply.status_code, paths_of(reply)) == (422, ["Idempotency-Key"]), reply.text
