"""Alertmanager, RabbitMQ, and each source's rate."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aio_pika
import pytest

from services.intake.models import events
from shared.messages.facts import EquipmentState
from shared.messaging.replay import replay_dead_letters
from tests.contract.service_driver import ServiceDriver
from tests.integration.intake.conftest import DEMAND, IntakeDriver, make_event, make_fee, open_intake
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


async def post_alerts(
    intake: IntakeDriver, *alerts: dict[str, Any], path: str = "/v1/alertmanager"
) -> list[str]:
    """The status of each alert."""
    answer = await intake.post(path, webhook(*alerts))
    assert answer.status_code == 200, answer.text
    return [result["status"] for result in answer.json()["results"]]


async def test_an_alert_that_fires_is_an_alarm_and_resolved_its_all_clear_once_each(
    intake: IntakeDriver,
) -> None:
    assert await post_alerts(intake, alert()) == ["accepted"]
    assert await post_alerts(intake, alert()) == ["duplicate"]
    resolved = alert("resolved", "2026-11-23T03:20:00Z")
    assert await post_alerts(intake, resolved, alert()) == ["accepted", "duplicate"]
    assert await post_alerts(intake, resolved) == ["duplicate"]
    faulty, intact = await intake.outbox_events()
    where = {"property": "tower", "equipment": "PumpRoomFlood"}
    assert faulty.data == EquipmentState(**where, state="faulty", alarm=True)
    assert intact.data == EquipmentState(**where, state="intact", alarm=False)
    assert faulty.time.isoformat() == "2026-11-23T03:15:01.446418+00:00"
    assert intact.time.isoformat() == "2026-11-23T03:20:00+00:00"


async def test_the_property_of_an_alert_is_a_label_or_the_query_or_the_keys_only_one(
    intake: IntakeDriver,
) -> None:
    bare = alert(labels={"alertname": "a", "equipment": "lift-1"})
    assert await post_alerts(intake, bare) == ["accepted"]
    intake.headers = intake.driver.headers("source")
    answer = await intake.post("/v1/alertmanager", webhook(bare))
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, "alerts[0].labels.property")
    assert await post_alerts(intake, bare, path="/v1/alertmanager?property=annex") == ["rejected"]
    assert {state.equipment for state in await intake.outbox_data(EquipmentState)} == {"lift-1"}


async def test_an_alert_that_is_not_valid_does_not_spoil_the_others(intake: IntakeDriver) -> None:
    strange = alert(labels={"alertname": "x" * 3000, "property": "tower"}, fingerprint="f-1")
    foreign = alert(labels={"alertname": "a", "property": "annex"}, fingerprint="f-2")
    again_later = alert("firing", startsAt="2026-11-23T03:30:00Z")
    assert await post_alerts(intake, strange, foreign, alert(), again_later) == [
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
async def test_another_version_or_a_broken_alert_is_not_valid(
    intake: IntakeDriver, body: Any, path: str
) -> None:
    answer = await intake.post("/v1/alertmanager", body)
    wrong = answer.json()["errors"][0]["path"]
    assert (answer.status_code, wrong) == (422, path)


async def test_over_its_rate_a_source_learns_when_to_come_again(store: Store, tmp_path: Path) -> None:
    async with open_intake(store, tmp_path, rate_limit="5/minute") as intake:
        for number in range(5):
            assert (await intake.post_event(make_fee(f"f-{number}"))).status_code == 202
        answer = await intake.post_event(make_fee("f-5"))
        assert answer.status_code == 429
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        for refused in (
            intake.post("/v1/demands", DEMAND),
            intake.post("/v1/events", [make_fee("f-6")], "application/cloudevents-batch+json"),
            intake.post("/v1/alertmanager", webhook(alert())),
        ):
            assert (await refused).status_code == 429
        intake.headers = intake.driver.headers("source")
        assert (await intake.post_event(make_fee("f-5"))).status_code == 202, (
            "another key has a rate of its own"
        )


async def test_malformed_events_from_rabbitmq_are_stored_with_their_reason_and_replayed(
    intake: IntakeDriver,
) -> None:
    unknown = json.dumps(make_event("e-2", DEMAND | {"property": "later"})).encode()
    bad = [
        b"{",
        b"[]",
        json.dumps(make_event("e-3", DEMAND | {"13800138000": 1})).encode(),
        unknown,
        b"x" * 70_000,
    ]
    good = json.dumps(make_event()).encode()
    await intake.driver.deliver(INBOUND, *bad[:2], good, *bad[2:], good)
    assert await intake.count_accepted() == (1, 1)
    dead_letters = {letter["body"]: letter["reason"] for letter in await intake.driver.dead_letters()}
    assert set(dead_letters) == set(bad)
    assert dead_letters[unknown].startswith("not-valid: data.property")
    assert dead_letters[b"x" * 70_000].startswith("too-large")
    assert not any("13800138000" in reason for reason in dead_letters.values())
    intake.service.properties["later"] = intake.service.properties["tower"]  # type: ignore[index]
    assert await replay_dead_letters(intake.service, INBOUND, "data.property") == 1
    assert await intake.count_accepted() == (2, 2)
    assert len(await intake.driver.dead_letters()) == 4


@pytest.fixture
async def on_rabbitmq(tmp_path: Path) -> AsyncIterator[tuple[ServiceDriver, str]]:
    """intake that consumes what others publish to a real RabbitMQ."""
    with fresh_vhost() as url, fresh_store("sqlite", tmp_path / "data") as store:
        async with open_intake(store, tmp_path, amqp_url=url) as intake:
            await intake.service.bus.stop()
            await intake.service.bus.start(intake.service.consumers())
            await eventually(lambda: ready(intake), within=30)
            yield intake.driver, url


async def ready(intake: IntakeDriver) -> bool:
    return (await intake.http.get("/readyz")).status_code == 200


async def test_events_published_to_rabbitmq_are_accepted_once_and_bad_ones_stored(
    on_rabbitmq: tuple[ServiceDriver, str],
) -> None:
    driver, url = on_rabbitmq
    connection = await aio_pika.connect(url)
    async with connection, connection.channel() as channel:
        exchange = await channel.get_exchange("guanjia.inbound")
        for body in (
            json.dumps(make_event()).encode(),
            json.dumps(make_event()).encode(),
            b"{13800138000",
            b'{"id":1}',
        ):
            message = aio_pika.Message(body, content_type="application/cloudevents+json")
            await exchange.publish(message, "guanjia.demand.raised.v1")
        message = aio_pika.Message(json.dumps(make_fee()).encode(), content_type="text/csv")
        await exchange.publish(message, "guanjia.fee.paid.v1")
    await eventually(driver.dead_letters, lambda dead: len(dead) == 3)
    reasons = sorted(letter["reason"].partition(":")[0] for letter in await driver.dead_letters())
    assert reasons == ["not-valid", "unreadable", "wrong-media-type"]
    await eventually(lambda: driver.rows(events), lambda rows: len(rows) == 1)


async def test_a_database_that_is_away_is_reported_and_nothing_is_accepted(intake: IntakeDriver) -> None:
    really = intake.service.database.batch

    def away() -> Any:
        raise ConnectionRefusedError

    intake.service.database.batch = away  # type: ignore[method-assign]
    answers = await asyncio.gather(*(intake.post_event(make_fee(f"f-{number}")) for number in range(5)))
    assert {answer.status_code for answer in answers} == {503}
    assert all("retry-after" in answer.headers for answer in answers)
    intake.service.database.batch = really  # type: ignore[method-assign]
    assert (await intake.post_event(make_fee("f-1"))).json()["status"] == "accepted"
