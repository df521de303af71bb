"""Plain demands, their progress, and that none is forgotten."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from services.intake.jobs import republish_once
from shared.ids import new_id
from shared.messages.cloudevents import Event, decode, encode
from shared.messages.events import DeadlineStatus, DemandAccepted
from tests.contract.samples import case
from tests.integration.intake.conftest import BATCHED, DEMAND, STRUCTURED, IntakeDriver, make_event, make_fee


async def post_demand(intake: IntakeDriver, **more: Any) -> str:
    """A demand that was accepted; its id."""
    answer = await intake.post("/v1/demands", DEMAND | more)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["demand"])


async def test_a_plain_demand_is_accepted_and_can_be_looked_up(intake: IntakeDriver) -> None:
    answer = await intake.post("/v1/demands", DEMAND, idempotency_key="form-1")
    assert answer.status_code == 202
    assert answer.json()["id"] == "form-1"
    reply = await intake.get(answer.headers["location"])
    assert reply.status_code == 200
    assert reply.json() == {
        "id": answer.json()["demand"],
        "property": "tower",
        "kind": "repair",
        "source": "key/tester",
        "event": "form-1",
        "reference": "A-17",
        "summary": "厨房水管漏水",
        "raised_at": "2026-11-23T04:00:00Z",
        "accepted_at": "2026-11-23T04:00:00Z",
        "case": None,
    }


async def test_the_same_idempotency_key_gives_the_same_demand_and_none_gives_a_new_one(
    intake: IntakeDriver,
) -> None:
    first = await intake.post("/v1/demands", DEMAND, idempotency_key="form-1")
    intake.clock.advance(timedelta(minutes=3))
    again = await intake.post("/v1/demands", DEMAND, idempotency_key="form-1")
    assert again.json() == first.json() | {"status": "duplicate"}
    assert again.headers["location"] == first.headers["location"]
    other = await intake.post("/v1/demands", DEMAND | {"summary": "other"}, idempotency_key="form-1")
    assert other.status_code == 409
    assert await post_demand(intake) != await post_demand(intake)
    assert await intake.count_accepted() == (3, 3)


@pytest.mark.parametrize("key", ["", "x" * 201, "a\tb"])
async def test_an_idempotency_key_that_is_none_is_refused(intake: IntakeDriver, key: str) -> None:
    answer = await intake.post("/v1/demands", DEMAND, idempotency_key=key)
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, "Idempotency-Key")


async def test_a_plain_demand_is_read_as_strictly_as_an_event(intake: IntakeDriver) -> None:
    for bad, path in (
        ({"property": "tower", "kind": "repair"}, "summary"),
        (DEMAND | {"assignee": "wang"}, "assignee"),
        (DEMAND | {"requester": {"phone": [1]}}, "requester.phone"),
    ):
        answer = await intake.post("/v1/demands", bad)
        assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, path)
    assert (await intake.post("/v1/demands", DEMAND | {"property": "annex"})).status_code == 403
    assert (await intake.post("/v1/demands", b"{}", "text/plain")).status_code == 415
    assert (await intake.post("/v1/demands", b"{")).status_code == 400
    assert (
        await intake.post("/v1/demands", DEMAND | {"summary": "x", "details": {"a": "y" * 70_000}})
    ).status_code == 413


async def test_a_demand_shows_its_case_and_the_next_deadline_whatever_the_order(intake: IntakeDriver) -> None:
    demand = await post_demand(intake)
    due = intake.clock.now() + timedelta(hours=1)
    deadlines = [
        DeadlineStatus(clock="respond", due_at=due - timedelta(minutes=50), met_at=due),
        DeadlineStatus(clock="complete", due_at=due + timedelta(hours=7)),
        DeadlineStatus(clock="arrive", due_at=due),
    ]
    newest = msgspec.structs.replace(case(demand), version=3, state="accepted", deadlines=deadlines)
    older = msgspec.structs.replace(case(demand), version=2, state="reported")
    for state in (newest, older):
        await intake.driver.deliver(
            "intake.cases", Event.of(state, source="dispatch", time=intake.clock.now())
        )
    progress = (await intake.get(f"/v1/demands/{demand}")).json()["case"]
    assert (progress["id"], progress["number"], progress["state"], progress["open"]) == (
        demand,
        "R-1",
        "accepted",
        True,
    )
    assert (progress["next_deadline"]["clock"], progress["next_deadline"]["due_at"]) == (
        "arrive",
        "2026-11-23T05:00:00Z",
    )


async def test_a_closed_case_has_no_next_deadline(intake: IntakeDriver) -> None:
    demand = await post_demand(intake)
    closed = msgspec.structs.replace(
        case(demand),
        state="closed",
        open=False,
        deadlines=[DeadlineStatus(clock="complete", due_at=intake.clock.now())],
    )
    await intake.driver.deliver("intake.cases", Event.of(closed, source="dispatch", time=intake.clock.now()))
    assert (await intake.get(f"/v1/demands/{demand}")).json()["case"]["next_deadline"] is None


async def test_a_demand_is_shown_to_its_property_and_its_sender_and_to_nobody_else(
    intake: IntakeDriver,
) -> None:
    demand = await post_demand(intake)
    annex = intake.driver.headers("source", properties=["annex"])
    annex_of_another = intake.service.keyring.issue_key("another", ["manager"], ["annex"], None)[1]
    tower_of_another = intake.service.keyring.issue_key("another", ["manager"], ["tower"], None)[1]
    for headers, status in (
        (annex, 200),  # the sender by its name
        ({"Authorization": f"Bearer {tower_of_another}"}, 200),
        ({"Authorization": f"Bearer {annex_of_another}"}, 404),
        (intake.driver.headers("engineer"), 403),
        ({"Authorization": "Bearer x"}, 401),
    ):
        assert (await intake.get(f"/v1/demands/{demand}", headers)).status_code == status
    for unknown in (new_id(), "none", "%00", "x" * 500):
        assert (await intake.get(f"/v1/demands/{unknown}")).status_code == 404


async def test_a_demand_that_nobody_opened_is_counted_and_published_again_until_it_is(
    intake: IntakeDriver,
) -> None:
    demand = await post_demand(intake)
    assert await intake.service.relay.drain() == 1
    assert await read_unaccounted(intake) == 0
    assert await republish_once(intake.service) == 0
    intake.clock.advance(timedelta(seconds=31))
    assert await read_unaccounted(intake) == 1
    assert await republish_once(intake.service) == 1
    again, first = await intake.outbox_events()
    assert (again.source, again.id, again.data) == (first.source, first.id, first.data)
    assert await republish_once(intake.service) == 0, "not again at once"
    intake.clock.advance(timedelta(seconds=32))
    assert await republish_once(intake.service) == 1
    await intake.driver.deliver(
        "intake.cases", Event.of(case(demand), source="dispatch", time=intake.clock.now())
    )
    intake.clock.advance(timedelta(hours=2))
    assert await read_unaccounted(intake) == 0
    assert await republish_once(intake.service) == 0


async def test_what_is_still_to_be_published_is_not_published_again(intake: IntakeDriver) -> None:
    await post_demand(intake)
    intake.clock.advance(timedelta(minutes=10))
    assert await read_unaccounted(intake) == 1
    assert await republish_once(intake.service) == 0
    assert await intake.service.relay.drain() == 1
    assert await republish_once(intake.service) == 1


async def test_while_nobody_opens_cases_a_demand_is_published_ever_less_often(intake: IntakeDriver) -> None:
    await post_demand(intake)
    await intake.service.relay.drain()
    times = 0
    for _ in range(24 * 60):
        intake.clock.advance(timedelta(minutes=1))
        times += await republish_once(intake.service)
    assert 20 < times < 35, "in a day: ten minutes, then an hour apart"


async def read_unaccounted(intake: IntakeDriver) -> float:
    """What the gauge shows."""
    lines = (await intake.http.get("/metrics")).text.splitlines()
    return float(next(line for line in lines if line.startswith("guanjia_demands_unaccounted ")).split()[1])


async def test_what_is_published_for_dispatch_can_be_decoded(intake: IntakeDriver) -> None:
    full = DEMAND | {
        "requester": {"name": "李", "phone": "13800138000"},
        "location": {"floor": "B1"},
        "preferred": {"from": "2026-11-23T18:00:00+08:00"},
        "details": {"papers": [1, None, {"a": 1.5}]},
    }
    await intake.post("/v1/demands", full)
    (event,) = await intake.outbox_events()
    assert decode(encode(event)) == event
    assert event.data.details == full["details"]


async def test_two_hundred_posts_at_once_share_commits_and_each_is_accepted_once(
    intake: IntakeDriver,
) -> None:
    transactions = 0
    really = intake.service.acceptor._accept

    async def count_and_accept(members: Any) -> Any:
        nonlocal transactions
        transactions += 1
        return await really(members)

    intake.service.acceptor._batcher._work = count_and_accept
    ids = [f"e-{number % 120}" for number in range(200)]
    answers = await asyncio.gather(*(intake.post_event(make_event(id_)) for id_ in ids))
    assert {answer.status_code for answer in answers} == {202}
    fates = Counter((answer.json()["id"], answer.json()["status"]) for answer in answers)
    assert all(fates[id_, "accepted"] == 1 for id_ in ids)
    assert len({(answer.json()["id"], answer.json()["demand"]) for answer in answers}) == 120
    assert await intake.count_accepted() == (120, 120)
    assert len(await intake.outbox_data(DemandAccepted)) == 120
    assert transactions <= 60


async def test_batches_and_singles_of_the_same_events_at_once_accept_each_once(intake: IntakeDriver) -> None:
    members = [make_fee(f"f-{number}") for number in range(60)]
    batches = [intake.post("/v1/events", members[start:] + members[:start], BATCHED) for start in (0, 20, 40)]
    singles = [intake.post("/v1/events", member, STRUCTURED) for member in members[::3]]
    answers = await asyncio.gather(*batches, *singles)
    results = [r for a in answers for r in (a.json()["results"] if "results" in a.json() else [a.json()])]
    assert Counter(result["status"] for result in results) == {"accepted": 60, "duplicate": 140}
    assert len(await intake.outbox_events()) == 60
