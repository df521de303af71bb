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
from shared.database.migrations import configuration, difference, upgrade
from shared.ids import new_id
from shared.messages.cloudevents import Event, encode
from shared.messaging.bus import Delivery
from shared.messaging.consumer import EventConsumer, Subscription
from shared.messaging.replay import replay_dead_letters
from tests.contract.samples import SAMPLES_BY_QUEUE, make_event
from tests.contract.service_driver import ServiceDriver, open_service
from tests.support.stores import Store

QUEUES = [(queue.partition(".")[0], queue) for queue in SAMPLES_BY_QUEUE]
for_every_queue = pytest.mark.parametrize(("name", "queue"), QUEUES, ids=list(SAMPLES_BY_QUEUE))
for_every_service = pytest.mark.parametrize("name", list(SERVICES))
OPEN_PATHS = {"/livez", "/readyz", "/openapi.json", "/asyncapi", "/f/{token}"}
"""What answers without a key."""
STRANGER_HEADERS: tuple[dict[str, str], ...] = (
    {},
    {"Authorization": "Bearer gj_wrong"},
    {"Cookie": "guanjia_session=wrong", "Sec-Fetch-Site": "same-origin"},
)
CANARIES = ("13800138000", "王小二", "wang@example")


@pytest.fixture
async def driver(name: str, store: Store, properties_folder: Path) -> AsyncIterator[ServiceDriver]:
    """The service under test, driven by hand."""
    async with open_service(name, store, properties_folder) as opened:
        yield opened


@for_every_service
async def test_health_documents_and_metrics_answer_without_a_key(driver: ServiceDriver) -> None:
    for path in ("/livez", "/readyz", "/openapi.json", "/asyncapi", "/metrics"):
        reply = await driver.http.get(path)
        assert reply.status_code == 200, (path, reply.text)
    validate((await driver.http.get("/openapi.json")).json())
    assert (await driver.http.get("/asyncapi")).json()["asyncapi"] == "3.0.0"
    metrics = (await driver.http.get("/metrics")).text
    name = driver.service.name
    assert f'guanjia_outbox_pending{{service="{name}"}} 0.0' in metrics
    assert f'guanjia_outbox_oldest_seconds{{service="{name}"}} 0.0' in metrics
    assert all(f'guanjia_dead_letters{{queue="{queue}"}} 0.0' in metrics for queue in driver.service.queues)
    assert "_created" not in metrics


@for_every_service
async def test_every_queue_of_a_service_has_its_one_consumer(driver: ServiceDriver) -> None:
    queues = [s.queue for s in driver.service.subscriptions()]
    assert len(queues) == len(set(queues))
    assert driver.service.consumers().keys() == set(driver.service.queues)


@for_every_service
async def test_a_service_whose_database_is_away_is_alive_and_not_ready(
    driver: ServiceDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away() -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr(driver.service.database, "ping", away)
    assert (await driver.http.get("/livez")).status_code == 200
    reply = await driver.http.get("/readyz", headers={"accept-language": "en"})
    assert reply.status_code == 503
    assert "database" in reply.json()["detail"]


@for_every_service
async def test_whoever_has_no_key_or_no_role_is_refused_everywhere(driver: ServiceDriver) -> None:
    for endpoint in driver.service.endpoints():
        path = endpoint.path.replace("{id}", new_id()).replace(":path}", "}")
        for part in ("{token}", "{kpi}", "{case}"):
            path = path.replace(part, "x")
        if endpoint.roles is None:
            assert endpoint.path in OPEN_PATHS
            continue
        for headers in STRANGER_HEADERS:
            reply = await driver.http.request(endpoint.method, path, headers=headers)
            assert reply.status_code == 401, (endpoint.path, headers)
            assert reply.headers["www-authenticate"].startswith("Bearer")
        others = [role for role in ROLES if role not in endpoint.roles and role != "admin"]
        for role in others:
            reply = await driver.http.request(endpoint.method, path, headers=driver.make_key_headers(role))
            assert reply.status_code == 403, (endpoint.path, role)
            assert reply.headers["content-type"] == "application/problem+json"


@for_every_service
async def test_a_method_that_is_not_offered_says_which_are(driver: ServiceDriver) -> None:
    reply = await driver.http.delete("/livez")
    assert (reply.status_code, reply.headers["allow"]) == (405, "GET")
    assert (await driver.http.get("/nowhere")).status_code == 404


@for_every_service
async def test_tables_made_by_the_migrations_are_those_of_the_models(driver: ServiceDriver) -> None:
    service = driver.service
    async with service.database.transaction() as connection:
        assert await connection.run_sync(difference, service.name, service.metadata) == []


@for_every_service
async def test_migrations_can_be_applied_twice_and_by_copies_at_once(
    driver: ServiceDriver, store: Store
) -> None:
    service = driver.service
    copies = [Database(service.name, store.url, store.folder) for _ in range(3)]
    async with service.database.transaction() as connection:
        await connection.run_sync(downgrade_to_base, service.name, service.metadata)
    await asyncio.gather(*(upgrade(copy, service.metadata) for copy in copies))
    await upgrade(service.database, service.metadata)
    async with service.database.transaction() as connection:
        assert await connection.run_sync(difference, service.name, service.metadata) == []
    for copy in copies:
        await copy.dispose()


def downgrade_to_base(connection: Connection, name: str, metadata: Any) -> None:
    command.downgrade(configuration(name, metadata, connection), "base")


@for_every_queue
async def test_a_second_delivery_changes_nothing_not_even_after_a_restart(
    driver: ServiceDriver, queue: str, store: Store, properties_folder: Path
) -> None:
    events = [make_event(queue, new_id()) for _ in range(5)]
    await driver.deliver(queue, *events)
    before = await driver.read_state()
    await driver.deliver(queue, *events, *events)
    await driver.deliver(queue, events[3])
    assert await driver.read_state() == before
    async with open_service(driver.service.name, store, properties_folder) as restarted:
        as_started = await restarted.read_state()
        await restarted.deliver(queue, *reversed(events))
        assert await restarted.read_state() == as_started
    assert any(before[table] for table in before if table != "outbox")
    assert not await driver.list_letters()


@for_every_queue
async def test_copies_that_take_the_same_set_at_once_effect_it_once(
    driver: ServiceDriver, queue: str, store: Store, properties_folder: Path
) -> None:
    events = [make_event(queue, new_id()) for _ in range(20)]
    async with open_service(driver.service.name, store, properties_folder) as copy:
        await asyncio.gather(driver.deliver(queue, *events), copy.deliver(queue, *reversed(events)))
    assert not await driver.list_letters()
    before = await driver.read_state()
    await driver.deliver(queue, *events)
    assert await driver.read_state() == before


@for_every_queue
async def test_poison_is_kept_with_a_reason_that_tells_nothing_and_the_others_are_effected(
    driver: ServiceDriver, queue: str
) -> None:
    good, mark = make_event(queue, new_id()), new_id()
    wrong = encode(make_event(queue, mark)).replace(b'"property":"tower"', b'"property":["13800138000"]')
    strange = encode(good).replace(b'"type":"guanjia', '"type":"王小二'.encode())
    bad = [b"wang@example", b"\xff13800138000", wrong, strange, b"[1", b""]
    await driver.deliver(queue, *bad[:3], good, *bad[3:])
    letters = await driver.list_letters()
    assert sorted(letter["body"] for letter in letters) == sorted(bad)
    assert all(letter["queue"] == queue and letter["attempts"] == 1 for letter in letters)
    assert not any(word in letter["reason"] for word in CANARIES for letter in letters)
    assert any("property: " in letter["reason"] for letter in letters)
    assert f'guanjia_dead_letters{{queue="{queue}"}} 6.0' in (await driver.http.get("/metrics")).text
    before = await driver.read_state()
    await driver.deliver(queue, good)
    assert await driver.read_state() == before


@for_every_queue
async def test_one_unreadable_event_of_a_packed_message_does_not_spoil_the_others(
    driver: ServiceDriver, queue: str
) -> None:
    good = [make_event(queue, new_id()) for _ in range(3)]
    bodies = [encode(event) for event in good]
    await driver.deliver(queue, b"[" + b",".join([bodies[0], b'{"a":1}', bodies[1], bodies[2]]) + b"]")
    assert [letter["body"] for letter in await driver.list_letters()] == [b'{"a":1}']
    before = await driver.read_state()
    await driver.deliver(queue, *good)
    assert await driver.read_state() == before


@for_every_queue
async def test_dead_letters_are_taken_again_by_a_replay(driver: ServiceDriver, queue: str) -> None:
    event, service = make_event(queue, new_id()), driver.service
    await driver.deliver(queue, b"still bad")
    async with service.database.transaction() as connection:
        delivery = Delivery(queue=queue, body=encode(event))
        await service.dead_letters.store(connection, [(delivery, "RuntimeError")])
    before = await driver.read_state()
    assert await replay_dead_letters(service, queue, "Runtime") == 1
    after = await driver.read_state()
    assert after != before
    assert await replay_dead_letters(service) == 1
    assert [letter["body"] for letter in await driver.list_letters()] == [b"still bad"]
    await driver.deliver(queue, event)
    assert await driver.read_state() == after


@for_every_queue
async def test_a_handler_that_fails_in_a_set_leaves_nothing_of_its_member_and_all_of_the_others(
    driver: ServiceDriver, queue: str
) -> None:
    service, marks = driver.service, [new_id() for _ in range(9)]
    events = [make_event(queue, mark) for mark in marks]
    subscription = next(s for s in service.subscriptions() if s.queue == queue)

    async def failing(connection: AsyncConnection, members: Sequence[Event]) -> None:
        await subscription.handle(connection, members)
        if events[4] in members:
            raise RuntimeError("13800138000")

    failing_consumer = EventConsumer(service, Subscription(queue, failing))
    await failing_consumer.take([Delivery(queue=queue, body=encode(event)) for event in events])
    letters = await driver.list_letters()
    assert [(letter["body"], letter["reason"]) for letter in letters] == [(encode(events[4]), "RuntimeError")]
    mentioned = {mark for mark in marks if await is_mentioned(driver, mark)}
    assert mentioned == {*marks} - {marks[4]}
    assert await replay_dead_letters(service) == 1
    assert await is_mentioned(driver, marks[4])


async def is_mentioned(driver: ServiceDriver, mark: str) -> bool:
    """Whether anything in the service's own tables or its outbox tells of that thing."""
    state = await driver.read_state()
    texts = [row for rows in state.values() for row in rows]
    return any(mark in text or mark.replace("-", "") in text for text in texts)
