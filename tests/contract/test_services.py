"""What every service does alike: health, documents, rights, redelivery, poison, failures, migrations."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from openapi_spec_validator import validate
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection

from guanjia.process import SERVICES
from shared.auth import ROLES
from shared.database.engine import Database
from shared.database.migrations import compare_tables, make_config, upgrade
from shared.ids import new_id
from shared.messages.cloudevents import Event, encode
from shared.messaging.bus import Delivery
from shared.messaging.consumer import EventConsumer, Subscription
from shared.messaging.replay import replay_dead_letters
from tests.contract.samples import SAMPLES, sample_event
from tests.contract.service_driver import ServiceDriver, open_service
from tests.support.stores import Store

QUEUES = [(queue.partition(".")[0], queue) for queue in SAMPLES]
each_queue = pytest.mark.parametrize(("name", "queue"), QUEUES, ids=list(SAMPLES))
each = pytest.mark.parametrize("name", list(SERVICES))
OPEN = {"/livez", "/readyz", "/openapi.json", "/asyncapi", "/f/{token}"}
"""What answers without a key."""
STRANGERS: tuple[dict[str, str], ...] = (
    {},
    {"Authorization": "Bearer gj_wrong"},
    {"Cookie": "guanjia_session=wrong", "Sec-Fetch-Site": "same-origin"},
)
CANARIES = ("13800138000", "王小二", "wang@example")


@pytest.fixture
async def driver(name: str, store: Store, properties_folder: Path) -> AsyncIterator[ServiceDriver]:
    """The service under test, driven by hand."""
    async with open_service(name, store, properties_folder) as driver:
        yield driver


@each
async def test_health_documents_and_metrics_answer_without_a_key(driver: ServiceDriver) -> None:
    for path in ("/livez", "/readyz", "/openapi.json", "/asyncapi", "/metrics"):
        answer = await driver.http.get(path)
        assert answer.status_code == 200, (path, answer.text)
    validate((await driver.http.get("/openapi.json")).json())
    assert (await driver.http.get("/asyncapi")).json()["asyncapi"] == "3.0.0"
    metrics = (await driver.http.get("/metrics")).text
    name = driver.service.name
    assert f'guanjia_outbox_pending{{service="{name}"}} 0.0' in metrics
    assert f'guanjia_outbox_oldest_seconds{{service="{name}"}} 0.0' in metrics
    assert all(f'guanjia_dead_letters{{queue="{queue}"}} 0.0' in metrics for queue in driver.service.queues)
    assert "_created" not in metrics


@each
async def test_every_queue_of_a_service_has_its_one_consumer(driver: ServiceDriver) -> None:
    consumed = [s.queue for s in driver.service.subscriptions()]
    assert len(consumed) == len(set(consumed))
    assert driver.service.consumers().keys() == set(driver.service.queues)


@each
async def test_a_service_whose_database_is_away_is_alive_and_not_ready(
    driver: ServiceDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away() -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr(driver.service.database, "ping", away)
    assert (await driver.http.get("/livez")).status_code == 200
    answer = await driver.http.get("/readyz", headers={"accept-language": "en"})
    assert answer.status_code == 503
    assert "database" in answer.json()["detail"]


@each
async def test_whoever_has_no_key_or_no_role_is_refused_everywhere(driver: ServiceDriver) -> None:
    for endpoint in driver.service.endpoints():
        path = endpoint.path.replace("{id}", new_id()).replace(":path}", "}")
        for part in ("{token}", "{kpi}", "{case}"):
            path = path.replace(part, "x")
        if endpoint.roles is None:
            assert endpoint.path in OPEN
            continue
        for headers in STRANGERS:
            answer = await driver.http.request(endpoint.method, path, headers=headers)
            assert answer.status_code == 401, (endpoint.path, headers)
            assert answer.headers["www-authenticate"].startswith("Bearer")
        others = [role for role in ROLES if role not in endpoint.roles and role != "admin"]
        for role in others:
            answer = await driver.http.request(endpoint.method, path, headers=driver.headers(role))
            assert answer.status_code == 403, (endpoint.path, role)
            assert answer.headers["content-type"] == "application/problem+json"


@each
async def test_a_method_that_is_not_offered_says_which_are(driver: ServiceDriver) -> None:
    answer = await driver.http.delete("/livez")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
    assert (await driver.http.get("/nowhere")).status_code == 404


@each
async def test_tables_made_by_the_migrations_are_those_of_the_models(driver: ServiceDriver) -> None:
    service = driver.service
    async with service.database.transaction() as connection:
        assert await connection.run_sync(compare_tables, service.name, service.metadata) == []


@each
async def test_migrations_can_be_applied_twice_and_by_copies_at_once(
    driver: ServiceDriver, store: Store
) -> None:
    service = driver.service
    copies = [Database(service.name, store.url, store.folder) for _ in range(3)]
    async with service.database.transaction() as connection:
        await connection.run_sync(downgrade, service.name, service.metadata)
    await asyncio.gather(*(upgrade(copy, service.metadata) for copy in copies))
    await upgrade(service.database, service.metadata)
    async with service.database.transaction() as connection:
        assert await connection.run_sync(compare_tables, service.name, service.metadata) == []
    for copy in copies:
        await copy.dispose()


def downgrade(connection: Connection, name: str, metadata: Any) -> None:
    command.downgrade(make_config(name, metadata, connection), "base")


@each_queue
async def test_a_second_delivery_changes_nothing_not_even_after_a_restart(
    driver: ServiceDriver, queue: str, store: Store, properties_folder: Path
) -> None:
    events = [sample_event(queue, new_id()) for _ in range(5)]
    await driver.deliver(queue, *events)
    before = await driver.state()
    await driver.deliver(queue, *events, *events)
    await driver.deliver(queue, events[3])
    assert await driver.state() == before
    async with open_service(driver.service.name, store, properties_folder) as restarted:
        as_started = await restarted.state()
        await restarted.deliver(queue, *reversed(events))
        assert await restarted.state() == as_started
    assert any(before[table] for table in before if table != "outbox")
    assert not await driver.dead_letters()


@each_queue
async def test_copies_that_take_the_same_batch_at_once_effect_it_once(
    driver: ServiceDriver, queue: str, store: Store, properties_folder: Path
) -> None:
    events = [sample_event(queue, new_id()) for _ in range(20)]
    async with open_service(driver.service.name, store, properties_folder) as copy:
        await asyncio.gather(driver.deliver(queue, *events), copy.deliver(queue, *reversed(events)))
    assert not await driver.dead_letters()
    before = await driver.state()
    await driver.deliver(queue, *events)
    assert await driver.state() == before


@each_queue
async def test_poison_is_stored_with_a_reason_that_reveals_nothing_and_the_others_are_effected(
    driver: ServiceDriver, queue: str
) -> None:
    good, id_ = sample_event(queue, new_id()), new_id()
    wrong = encode(sample_event(queue, id_)).replace(b'"property":"tower"', b'"property":["13800138000"]')
    strange = encode(good).replace(b'"type":"guanjia', '"type":"王小二'.encode())
    bad = [b"wang@example", b"\xff13800138000", wrong, strange, b"[1", b""]
    await driver.deliver(queue, *bad[:3], good, *bad[3:])
    dead_letters = await driver.dead_letters()
    assert sorted(letter["body"] for letter in dead_letters) == sorted(bad)
    assert all(letter["queue"] == queue and letter["attempts"] == 1 for letter in dead_letters)
    assert not any(word in letter["reason"] for word in CANARIES for letter in dead_letters)
    assert any("property: " in letter["reason"] for letter in dead_letters)
    assert f'guanjia_dead_letters{{queue="{queue}"}} 6.0' in (await driver.http.get("/metrics")).text
    before = await driver.state()
    await driver.deliver(queue, good)
    assert await driver.state() == before


@each_queue
async def test_one_unreadable_event_of_a_packed_message_does_not_spoil_the_others(
    driver: ServiceDriver, queue: str
) -> None:
    good = [sample_event(queue, new_id()) for _ in range(3)]
    bodies = [encode(event) for event in good]
    await driver.deliver(queue, b"[" + b",".join([bodies[0], b'{"a":1}', bodies[1], bodies[2]]) + b"]")
    assert [letter["body"] for letter in await driver.dead_letters()] == [b'{"a":1}']
    before = await driver.state()
    await driver.deliver(queue, *good)
    assert await driver.state() == before


@each_queue
async def test_dead_letters_are_handled_by_a_replay(driver: ServiceDriver, queue: str) -> None:
    event, service = sample_event(queue, new_id()), driver.service
    await driver.deliver(queue, b"still bad")
    async with service.database.transaction() as connection:
        lost = Delivery(queue=queue, body=encode(event))
        await service.dead_letters.store(connection, [(lost, "RuntimeError")])
    before = await driver.state()
    assert await replay_dead_letters(service, queue, "Runtime") == 1
    after = await driver.state()
    assert after != before
    assert await replay_dead_letters(service) == 1
    assert [letter["body"] for letter in await driver.dead_letters()] == [b"still bad"]
    await driver.deliver(queue, event)
    assert await driver.state() == after


def make_failing(real: Subscription[Any], poison: Event) -> Subscription[Any]:
    """`real`, but that it fails over `poison`: in its transaction, or before those of its own."""
    handle, handle_versioned = real.handle, real.handle_versioned

    async def fail(members: Sequence[Event]) -> None:
        if poison in members:
            raise RuntimeError("13800138000")

    async def handle_or_fail(connection: AsyncConnection, members: Sequence[Event]) -> None:
        assert handle is not None
        await handle(connection, members)
        await fail(members)

    async def handle_versioned_or_fail(members: Sequence[Event]) -> None:
        assert handle_versioned is not None
        await fail(members)
        await handle_versioned(members)

    if handle is not None:
        return Subscription(real.queue, handle_or_fail)
    return Subscription(real.queue, handle_versioned=handle_versioned_or_fail)


@each_queue
async def test_a_handler_that_fails_in_a_batch_leaves_nothing_of_its_member_and_all_of_the_others(
    driver: ServiceDriver, queue: str
) -> None:
    service, ids = driver.service, [new_id() for _ in range(9)]
    events = [sample_event(queue, id_) for id_ in ids]
    real = next(s for s in service.subscriptions() if s.queue == queue)

    consumer = EventConsumer(service, make_failing(real, events[4]))
    await consumer.consume([Delivery(queue=queue, body=encode(event)) for event in events])
    dead_letters = await driver.dead_letters()
    assert [(letter["body"], letter["reason"]) for letter in dead_letters] == [
        (encode(events[4]), "RuntimeError")
    ]
    mentioned = {id_ for id_ in ids if await mentions(driver, id_)}
    assert mentioned == {*ids} - {ids[4]}
    assert await replay_dead_letters(service) == 1
    assert await mentions(driver, ids[4])


async def mentions(driver: ServiceDriver, id_: str) -> bool:
    """Whether anything in the service's own tables or its outbox mentions that id."""
    state = await driver.state()
    texts = [row for rows in state.values() for row in rows]
    return any(id_ in text or id_.replace("-", "") in text for text in texts)
