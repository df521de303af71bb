"""Repairs from the demand to the end, over HTTP."""

import asyncio
from datetime import timedelta

from services.dispatch.models import metadata
from shared.database.migrations import compare_tables
from tests.integration.dispatch.conftest import NOW, DispatchDriver


async def test_a_demand_is_a_dispatched_case_of_the_same_id_at_once(dispatch: DispatchDriver) -> None:
    case_id = await dispatch.deliver_demand(subject="water_supply", location={"floor": 12, "unit": "12A"})
    case = await dispatch.get_case(case_id)
    assert (case["id"], case["state"], case["open"], case["version"]) == (case_id, "dispatched", True, 2)
    assert case["number"].startswith("BX-261123-")
    assert case["workflow"] == {"name": "repair", "version": 2}
    assert case["assignee"] in ("wang", "li")
    assert [entry["action"] for entry in case["history"]] == ["raise", "assign"]
    assert {clock["clock"] for clock in case["deadlines"]} == {"respond", "arrive", "complete"}
    opened, changed = (
        await dispatch.published_events("guanjia.case.opened.v1"),
        await dispatch.published_events("guanjia.case.changed.v1"),
    )
    assert [event.data.version for event in opened + changed] == [1, 2]


async def test_the_next_demand_goes_to_whoever_carries_less(dispatch: DispatchDriver) -> None:
    events = [dispatch.accepted_event() for _ in range(4)]
    await dispatch.deliver(*events)
    assignees = [(await dispatch.get_case(event.data.demand))["assignee"] for event in events]
    assert sorted(assignees) == ["li", "li", "wang", "wang"]


async def test_the_same_demand_again_changes_nothing(dispatch: DispatchDriver) -> None:
    event = dispatch.accepted_event()
    await dispatch.deliver(event, event)
    await dispatch.deliver(event)
    again = dispatch.accepted_event(demand=event.data.demand)
    await dispatch.deliver(again)
    assert len(await dispatch.list_cases()) == 1
    assert (await dispatch.get_case(event.data.demand))["version"] == 2
    assert await dispatch.count_dead_letters() == {}


async def test_a_whole_repair_is_closed_by_its_follow_up(dispatch: DispatchDriver) -> None:
    case_id = await dispatch.deliver_demand()
    done = await dispatch.complete_repair(case_id)
    assert done["state"] == "following_up"
    plan = (await dispatch.published_events("guanjia.case.changed.v1"))[-1].data.follow_up
    assert (plan.line, plan.due_at, plan.workers) == (
        "maintenance",
        NOW + timedelta(hours=24),
        [done["assignee"]],
    )
    dispatch.clock.advance(timedelta(hours=1))
    await dispatch.deliver_follow_up(case_id, rating=5)
    case = await dispatch.get_case(case_id)
    assert (case["state"], case["open"], case["actions"]) == ("closed", False, [])
    assert case["history"][-1]["actor"] == "system"
    assert [event.data.case for event in await dispatch.published_events("guanjia.case.closed.v1")] == [
        case_id
    ]


async def test_a_dissatisfied_answer_closes_it_and_opens_one_rework_for_another_engineer(
    dispatch: DispatchDriver,
) -> None:
    case_id = await dispatch.deliver_demand(summary="The lamp flickers")
    old = await dispatch.complete_repair(case_id)
    dispatch.clock.advance(timedelta(minutes=5))
    await asyncio.gather(
        dispatch.deliver_follow_up(case_id, rating=2),
        dispatch.deliver_follow_up(case_id, rating=1, version=2),
    )
    old = await dispatch.get_case(case_id)
    assert old["state"] == "closed"
    (rework_id,) = old["reworks"]
    rework = await dispatch.get_case(rework_id)
    assert (rework["rework_of"], rework["state"], rework["summary"]) == (
        case_id,
        "dispatched",
        "The lamp flickers",
    )
    assert rework["assignee"] != old["assignee"]
    assert rework["raised_at"] == "2026-11-23T04:05:00Z"


async def test_a_correction_to_dissatisfied_opens_the_rework_later(dispatch: DispatchDriver) -> None:
    case_id = await dispatch.deliver_demand()
    await dispatch.complete_repair(case_id)
    await dispatch.deliver_follow_up(case_id, rating=5)
    assert (await dispatch.get_case(case_id))["reworks"] == []
    await dispatch.deliver_follow_up(case_id, rating=1, version=2)
    assert len((await dispatch.get_case(case_id))["reworks"]) == 1


async def test_a_follow_up_of_an_unknown_case_is_tried_again(dispatch: DispatchDriver) -> None:
    await dispatch.deliver_follow_up("01900000-0000-7000-8000-000000000000", rating=5)
    assert await dispatch.count_dead_letters() == {}


async def test_a_demand_heard_of_late_is_lived_through_as_it_happened(dispatch: DispatchDriver) -> None:
    """Raised at 11:00, heard of at 12:00; the engineer's phone was offline, too."""
    case_id = await dispatch.deliver_demand(raised_at=NOW - timedelta(hours=1))
    engineer = dispatch.headers_for("engineer", person=(await dispatch.get_case(case_id))["assignee"])
    await dispatch.take_action(case_id, "accept", engineer, at="2026-11-23T03:10:00Z")
    case = await dispatch.take_action(case_id, "arrive", engineer, at="2026-11-23T03:40:00Z")
    assert [entry["at"] for entry in case["history"][:2]] == ["2026-11-23T03:00:00Z"] * 2
    assert [entry["recorded_at"] for entry in case["history"][:2]] == ["2026-11-23T04:00:00Z"] * 2
    assert [clock["missed_at"] for clock in case["deadlines"]] == [None] * 3


async def test_the_lease_of_a_late_demand_begins_when_it_is_heard_of(dispatch: DispatchDriver) -> None:
    case_id = await dispatch.deliver_demand(raised_at=NOW - timedelta(hours=1))
    await dispatch.pass_time(minutes=14)
    assert (await dispatch.get_case(case_id))["level"] == 0
    await dispatch.pass_time(minutes=2)
    assert (await dispatch.get_case(case_id))["level"] == 1


async def test_without_people_nobody_is_looked_for(dispatch: DispatchDriver) -> None:
    case_id = await dispatch.deliver_demand(property="empty")
    case = await dispatch.get_case(case_id, dispatch.headers_for("admin", properties=None))
    assert (case["state"], case["version"]) == ("reported", 1)


async def test_by_hand_means_by_hand(dispatch: DispatchDriver) -> None:
    everything = dispatch.headers_for("admin", properties=None)
    case_id = await dispatch.deliver_demand(property="by_hand")
    assert (await dispatch.get_case(case_id, everything))["state"] == "reported"
    assert (await dispatch.take_action(case_id, "assign", everything, data={"engineer": "li"}))[
        "assignee"
    ] == "li"


async def test_from_outside_the_served_scope_it_waits_to_be_passed_on(dispatch: DispatchDriver) -> None:
    everything = dispatch.headers_for("admin", properties=None)
    case_id = await dispatch.deliver_demand(property="scoped", location={"floor": 3})
    case = await dispatch.get_case(case_id, everything)
    assert (case["state"], case["outside_scope"]) == ("reported", "该位置不在本物业服务范围内")
    data = {"to": "the mall", "reason": "third floor"}
    assert (await dispatch.take_action(case_id, "pass_on", everything, data=data))["state"] == "passed_on"


async def test_many_reports_of_one_thing_fold_and_end_each_with_its_own_follow_up(
    dispatch: DispatchDriver,
) -> None:
    first, *others = [dispatch.accepted_event() for _ in range(5)]
    await dispatch.deliver(first, *others)
    parent = first.data.demand
    for other in others:
        assert (await dispatch.take_action(other.data.demand, "attach", data={"parent": parent}))[
            "state"
        ] == "folded"
    await dispatch.complete_repair(parent)
    for other in others:
        child = await dispatch.get_case(other.data.demand)
        assert (child["state"], child["parent"]) == ("following_up", parent)
        assert child["follow_up_due_at"] == "2026-11-24T04:00:00Z"
    await dispatch.deliver_follow_up(others[0].data.demand, rating=4)
    assert (await dispatch.get_case(others[0].data.demand))["state"] == "closed"


async def test_cancelled_with_the_case_that_it_was_folded_into(dispatch: DispatchDriver) -> None:
    parent, child, grandchild = (
        await dispatch.deliver_demand(),
        await dispatch.deliver_demand(),
        await dispatch.deliver_demand(),
    )
    await dispatch.take_action(grandchild, "attach", data={"parent": child})
    await dispatch.take_action(child, "attach", data={"parent": parent})
    await dispatch.take_action(parent, "cancel")
    assert [(await dispatch.get_case(c))["state"] for c in (parent, child, grandchild)] == ["cancelled"] * 3


async def test_it_is_not_folded_into_itself_a_stranger_or_one_that_is_folded(
    dispatch: DispatchDriver,
) -> None:
    one, two, three = (
        await dispatch.deliver_demand(),
        await dispatch.deliver_demand(),
        await dispatch.deliver_demand(),
    )
    annex = await dispatch.deliver_demand(property="annex")
    await dispatch.take_action(two, "attach", data={"parent": one})
    for parent in (three, annex, two, "01900000-0000-7000-8000-000000000000"):
        answer = await dispatch.post_action(three, "attach", data={"parent": parent})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["path"] == "data.parent"


async def test_migrations_equal_models(dispatch: DispatchDriver) -> None:
    async with dispatch.service.database.transaction() as connection:
        assert await connection.run_sync(compare_tables, "dispatch", metadata) == []
