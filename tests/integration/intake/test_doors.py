"""The other doors: Alertmanager, RabbitMQ, keys, people, and each source's rate."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aio_pika
import pytest

from services.intake.models import api_keys, events
from shared.messages.events import KeyRevoked
from shared.messages.facts import EquipmentState
from shared.messaging.replay import replay_dead_letters
from tests.contract.service_driver import ServiceDriver
from tests.integration.intake.conftest import DEMAND, Desk, event, fee, opened_desk
from tests.support.stores import Store, fresh_store, fresh_vhost
from tests.support.waiting import eventually

INBOUND = "intake.inbound"
NEVER = "0001-01-01T00:00:00Z"
FIRED = "2026-11-23T03:15:01.44641776Z"


def webhook(*alerts: dict[str, Any], status: str = "firing") -> dict[str, Any]:
    """What Alertmanager posts."""
    return {
        "receiver": "guanjia",
        "status": status,
        "alerts": list(alerts),
        "groupLabels": {"alertname": "PumpRoomFlood"},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alerts:9093",
        "version": "4",
        "groupKey": '{}:{alertname="PumpRoomFlood"}',
        "truncatedAlerts": 0,
    }


def alert(status: str = "firing", ends: str = NEVER, **more: Any) -> dict[str, Any]:
    """One alert of such a post."""
    labels = {"alertname": "PumpRoomFlood", "severity": "critical", "property": "tower"}
    return {
        "status": status,
        "labels": labels,
        "annotations": {"summary": "地下泵房水浸"},
        "startsAt": FIRED,
        "endsAt": ends,
        "generatorURL": "http://prometheus",
        "fingerprint": "bd40fed29c02658f",
    } | more


async def alarmed(desk: Desk, *alerts: dict[str, Any], path: str = "/v1/alertmanager") -> list[str]:
    """The status of each alert."""
    answer = await desk.post(path, webhook(*alerts))
    assert answer.status_code == 200, answer.text
    return [result["status"] for result in answer.json()["results"]]


async def test_an_alert_that_fires_is_an_alarm_and_resolved_its_all_clear_once_each(desk: Desk) -> None:
    assert await alarmed(desk, alert()) == ["accepted"]
    assert await alarmed(desk, alert()) == ["duplicate"]
    resolved = alert("resolved", "2026-11-23T03:20:00Z")
    assert await alarmed(desk, resolved, alert()) == ["accepted", "duplicate"]
    assert await alarmed(desk, resolved) == ["duplicate"]
    faulty, intact = await desk.said()
    where = {"property": "tower", "equipment": "PumpRoomFlood"}
    assert faulty.data == EquipmentState(**where, state="faulty", alarm=True)
    assert intact.data == EquipmentState(**where, state="intact", alarm=False)
    assert faulty.time.isoformat() == "2026-11-23T03:15:01.446418+00:00"
    assert intact.time.isoformat() == "2026-11-23T03:20:00+00:00"


async def test_the_property_of_an_alert_is_a_label_or_the_query_or_the_keys_only_one(desk: Desk) -> None:
    bare = alert(labels={"alertname": "a", "equipment": "lift-1"})
    assert await alarmed(desk, bare) == ["accepted"]
    desk.headers = desk.house.make_key_headers("source")
    answer = await desk.post("/v1/alertmanager", webhook(bare))
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, "alerts[0].labels.property")
    assert await alarmed(desk, bare, path="/v1/alertmanager?property=annex") == ["rejected"]
    assert {state.equipment for state in await desk.told(EquipmentState)} == {"lift-1"}


async def test_an_alert_that_cannot_be_taken_does_not_spoil_the_others(desk: Desk) -> None:
    strange = alert(labels={"alertname": "x" * 3000, "property": "tower"}, fingerprint="f-1")
    foreign = alert(labels={"alertname": "a", "property": "annex"}, fingerprint="f-2")
    again_later = alert("firing", startsAt="2026-11-23T03:30:00Z")
    assert await alarmed(desk, strange, foreign, alert(), again_later) == [
        "accepted", "rejected", "accepted", "accepted",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (webhook() | {"version": "3"}, "version"),
        ({"version": "4"}, "alerts"),
        (webhook(alert(startsAt="2026-11-23T03:15:01")), "alerts[0].startsAt"),
        (webhook(alert(fingerprint="x" * 300)), "alerts[0].fingerprint"),
        (webhook(alert(status="silenced")), "alerts[0].status"),
    ],
)
async def test_another_version_or_a_broken_alert_is_not_valid(desk: Desk, body: Any, path: str) -> None:
    answer = await desk.post("/v1/alertmanager", body)
    told = answer.json()["errors"][0]["path"]
    assert (answer.status_code, told) == (422, path)


async def test_over_its_rate_a_source_is_told_when_to_come_again(store: Store, tmp_path: Path) -> None:
    async with opened_desk(store, tmp_path, rate_limit="5/minute") as desk:
        for number in range(5):
            assert (await desk.post_event(fee(f"f-{number}"))).status_code == 202
        answer = await desk.post_event(fee("f-5"))
        assert answer.status_code == 429
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        for refused in (
            desk.post("/v1/demands", DEMAND),
            desk.post("/v1/events", [fee("f-6")], "application/cloudevents-batch+json"),
            desk.post("/v1/alertmanager", webhook(alert())),
        ):
            assert (await refused).status_code == 429
        desk.headers = desk.house.make_key_headers("source")
        assert (await desk.post_event(fee("f-5"))).status_code == 202, "another key has a rate of its own"


async def test_malformed_events_from_rabbitmq_are_kept_with_their_reason_and_replayed(desk: Desk) -> None:
    unknown = json.dumps(event("e-2", DEMAND | {"property": "later"})).encode()
    bad = [
        b"{",
        b"[]",
        json.dumps(event("e-3", DEMAND | {"13800138000": 1})).encode(),
        unknown,
        b"x" * 70_000,
    ]
    good = json.dumps(event()).encode()
    await desk.house.deliver(INBOUND, *bad[:2], good, *bad[2:], good)
    assert await desk.number_accepted() == (1, 1)
    letters = {letter["body"]: letter["reason"] for letter in await desk.house.list_letters()}
    assert set(letters) == set(bad)
    assert letters[unknown].startswith("not-valid: data.property")
    assert letters[b"x" * 70_000].startswith("too-large")
    assert not any("13800138000" in reason for reason in letters.values())
    desk.service.properties["later"] = desk.service.properties["tower"]  # type: ignore[index]
    assert await replay_dead_letters(desk.service, INBOUND, "data.property") == 1
    assert await desk.number_accepted() == (2, 2)
    assert len(await desk.house.list_letters()) == 4


@pytest.fixture
async def on_rabbitmq(tmp_path: Path) -> AsyncIterator[tuple[ServiceDriver, str]]:
    """intake that consumes what others publish to a real RabbitMQ."""
    with fresh_vhost() as url, fresh_store("sqlite", tmp_path / "data") as store:
        async with opened_desk(store, tmp_path, amqp_url=url) as desk:
            await desk.service.bus.stop()
            await desk.service.bus.start(desk.service.consumers())
            await eventually(lambda: ready(desk), within=30)
            yield desk.house, url


async def ready(desk: Desk) -> bool:
    return (await desk.http.get("/readyz")).status_code == 200


async def test_events_published_to_rabbitmq_are_accepted_once_and_bad_ones_buried(
    on_rabbitmq: tuple[ServiceDriver, str],
) -> None:
    house, url = on_rabbitmq
    connection = await aio_pika.connect(url)
    async with connection, connection.channel() as channel:
        exchange = await channel.get_exchange("guanjia.inbound")
        for body in (
            json.dumps(event()).encode(),
            json.dumps(event()).encode(),
            b"{13800138000",
            b'{"id":1}',
        ):
            message = aio_pika.Message(body, content_type="application/cloudevents+json")
            await exchange.publish(message, "guanjia.demand.raised.v1")
        message = aio_pika.Message(json.dumps(fee()).encode(), content_type="text/csv")
        await exchange.publish(message, "guanjia.fee.paid.v1")
    await eventually(house.list_letters, lambda letters: len(letters) == 3)
    reasons = sorted(letter["reason"].partition(":")[0] for letter in await house.list_letters())
    assert reasons == ["not-valid", "unreadable", "wrong-media-type"]
    await eventually(lambda: house.list_rows(events), lambda rows: len(rows) == 1)


async def test_a_key_is_shown_once_listed_without_its_word_and_revoked_at_once(desk: Desk) -> None:
    desk.headers = admin = desk.house.make_key_headers("admin")
    asked = {"name": "owner app", "roles": ["source"], "properties": ["tower"]}
    issued = await desk.post("/v1/keys", asked)
    assert issued.status_code == 201
    key = issued.json()["key"]
    assert len(key) > 40
    listed = (await desk.get("/v1/keys")).json()
    assert [item["name"] for item in listed["items"]] == ["owner app"]
    assert key not in str(listed) + str(await desk.house.list_rows(api_keys))
    owner = {"Authorization": f"Bearer {key}"}
    desk.headers = owner
    assert (await desk.post_event(event())).status_code == 202
    desk.headers = admin
    assert (await desk.http.delete(f"/v1/keys/{issued.json()['id']}", headers=admin)).status_code == 204
    desk.headers = owner
    assert (await desk.post_event(event("e-2"))).status_code == 401
    assert [told.key for told in await desk.told(KeyRevoked)] == [issued.json()["id"]]
    assert (await desk.http.delete(f"/v1/keys/{issued.json()['id']}", headers=admin)).status_code == 404
    assert (await desk.get("/v1/keys", admin)).json()["items"][0]["revoked_at"] is not None


async def test_keys_are_listed_in_pages(desk: Desk) -> None:
    desk.headers = desk.house.make_key_headers("admin")
    for number in range(5):
        await desk.post("/v1/keys", {"name": f"k{number}", "roles": ["source"]})
    seen, cursor = [], ""
    while True:
        page = (await desk.get(f"/v1/keys?limit=2&cursor={cursor}")).json()
        seen += [item["name"] for item in page["items"]]
        assert len(page["items"]) <= 2
        if page["next"] is None:
            break
        cursor = page["next"]
    assert seen == [f"k{number}" for number in range(5)]
    for wrong in ("limit=0", "limit=201", "limit=x", "cursor=x", "colour=red"):
        assert (await desk.get(f"/v1/keys?{wrong}")).status_code == 422


@pytest.mark.parametrize(
    ("asked", "path"),
    [
        ({"name": "a", "roles": []}, "roles"),
        ({"name": "a", "roles": ["king"]}, "roles[0]"),
        ({"name": "", "roles": ["source"]}, "name"),
        ({"name": "a", "roles": ["source"], "properties": ["nowhere"]}, "properties[0]"),
        ({"name": "a", "roles": ["source"], "key": "mine"}, "key"),
    ],
)
async def test_a_key_that_makes_no_sense_is_not_issued(desk: Desk, asked: Any, path: str) -> None:
    desk.headers = desk.house.make_key_headers("admin")
    answer = await desk.post("/v1/keys", asked)
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, path)


async def test_an_administrator_of_one_property_gives_away_sees_and_revokes_no_more(desk: Desk) -> None:
    desk.headers = everything = desk.house.make_key_headers("admin")
    ids = {}
    for name, properties in (("all", None), ("annex", ["annex"]), ("tower", ["tower"])):
        asked = {"name": name, "roles": ["source"], "properties": properties}
        ids[name] = (await desk.post("/v1/keys", asked)).json()["id"]
    desk.headers = desk.house.make_key_headers("admin", properties=["tower"])
    assert [item["name"] for item in (await desk.get("/v1/keys")).json()["items"]] == ["tower"]
    for properties in (None, ["annex"]):
        asked = {"name": "more", "roles": ["source"], "properties": properties}
        assert (await desk.post("/v1/keys", asked)).status_code == 403
    for name, status in (("all", 404), ("annex", 404), ("tower", 204)):
        answer = await desk.http.delete(f"/v1/keys/{ids[name]}", headers=desk.headers)
        assert answer.status_code == status
    assert len((await desk.get("/v1/keys", everything)).json()["items"]) == 3


async def test_the_people_of_a_property_are_listed_by_role_to_those_who_work_there(desk: Desk) -> None:
    headers = desk.house.make_key_headers("dispatcher", properties=["tower"])
    page = (await desk.get("/v1/people?property=tower&role=engineer", headers)).json()
    assert [person["id"] for person in page["items"]] == ["li", "wang"]
    assert page["items"][0] == {"id": "li", "name": "Li Na", "roles": ["engineer"], "skills": ["*"]}
    first = (await desk.get("/v1/people?property=tower&limit=2", headers)).json()
    rest = (await desk.get(f"/v1/people?property=tower&cursor={first['next']}", headers)).json()
    everybody = desk.service.properties["tower"].people
    assert [p["id"] for p in first["items"] + rest["items"]] == sorted(person.id for person in everybody)
    assert (await desk.get("/v1/people?property=annex", headers)).status_code == 403
    assert (
        await desk.get("/v1/people?property=nowhere", desk.house.make_key_headers("manager"))
    ).status_code == 404
    assert (
        await desk.get("/v1/people?property=tower", desk.house.make_key_headers("source"))
    ).status_code == 403


async def test_a_database_that_is_away_is_told_and_nothing_is_accepted(desk: Desk) -> None:
    really = desk.service.database.transaction

    def away() -> Any:
        raise ConnectionRefusedError

    desk.service.database.transaction = away  # type: ignore[method-assign]
    answers = await asyncio.gather(*(desk.post_event(fee(f"f-{number}")) for number in range(5)))
    assert {answer.status_code for answer in answers} == {503}
    assert all("retry-after" in answer.headers for answer in answers)
    desk.service.database.transaction = really  # type: ignore[method-assign]
    assert (await desk.post_event(fee("f-1"))).json()["status"] == "accepted"


async def test_kinds_are_listed_page_by_page_to_every_key_of_the_property(desk: Desk) -> None:
    page = (await desk.get("/v1/kinds?property=tower&limit=10")).json()
    rest = (await desk.get(f"/v1/kinds?property=tower&limit=10&cursor={page['next']}")).json()
    names = [kind["kind"] for kind in (*page["items"], *rest["items"])]
    assert (names, rest["next"]) == (sorted(desk.service.kinds.entries), None)
    repair = next(kind for kind in rest["items"] if kind["kind"] == "repair")
    assert repair == {
        "kind": "repair", "names": {"zh": "报修", "en": "Repair"}, "perspective": "management", "fields": [],
        "workflow": {"name": "repair", "version": 2},
    }  # fmt: skip
    assert (
        await desk.get("/v1/kinds?property=tower", desk.house.make_key_headers("engineer"))
    ).status_code == 200
    for query, status in (
        ("nowhere", 404),
        ("annex", 403),
        ("tower&cursor=nothing", 422),
        ("tower&limit=0", 422),
    ):
        assert (await desk.get(f"/v1/kinds?property={query}")).status_code == status
    assert (await desk.get("/v1/kinds")).status_code == 422
