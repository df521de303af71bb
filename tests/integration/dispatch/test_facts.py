"""Withdrawals, alarms, inspections, residents: the same cases in whatever order they are heard."""

from datetime import timedelta
from itertools import permutations

import pytest

from shared.messages.cloudevents import Event
from shared.messages.facts import (
    DemandWithdrawn,
    EquipmentRegistered,
    EquipmentState,
    InspectionRecorded,
    ResidentRegistered,
)
from tests.integration.dispatch.conftest import NOW, DispatchDesk

MINUTE = timedelta(minutes=1)


def withdrawn(desk: DispatchDesk, **told: str) -> Event:
    data = DemandWithdrawn(property="tower", reason="it works again", **told)
    return Event.of(data, source="app", time=desk.clock.now())


def state(minute: int, what: str, alarm: bool = False) -> Event:
    data = EquipmentState(property="tower", equipment="EL-01", state=what, alarm=alarm)  # type: ignore[arg-type]
    return Event.of(data, source="bms", time=NOW + minute * MINUTE)


async def test_a_demand_taken_back_is_withdrawn(desk: DispatchDesk) -> None:
    case_id = await desk.demand()
    await desk.deliver(withdrawn(desk, demand=case_id))
    case = await desk.case(case_id)
    assert (case["state"], case["history"][-1]["data"]) == ("cancelled", {"reason": "it works again"})


@pytest.mark.parametrize("by", ["demand", "reference"])
async def test_taken_back_before_it_came_it_is_withdrawn_when_it_comes(desk: DispatchDesk, by: str) -> None:
    event = desk.accepted(reference="R-7")
    named = {"demand": event.data.demand} if by == "demand" else {"reference": "R-7"}
    await desk.deliver(withdrawn(desk, **named))
    await desk.deliver(event)
    assert (await desk.case(event.data.demand))["state"] == "cancelled"


async def test_in_one_set_the_order_makes_no_difference(desk: DispatchDesk) -> None:
    one, two = desk.accepted(), desk.accepted()
    await desk.deliver(
        withdrawn(desk, demand=one.data.demand), one, two, withdrawn(desk, demand=two.data.demand)
    )
    assert {case["state"] for case in await desk.cases()} == {"cancelled"}


async def test_nobody_takes_back_what_is_another_propertys_or_sources(desk: DispatchDesk) -> None:
    annex = desk.accepted(property="annex")
    other = desk.accepted(source="hotline", reference="R-7")
    await desk.deliver(annex, other)
    await desk.deliver(withdrawn(desk, demand=annex.data.demand), withdrawn(desk, reference="R-7"))
    everything = desk.key("admin", properties=None)
    for event in (annex, other):
        assert (await desk.case(event.data.demand, everything))["state"] == "dispatched"


async def test_too_late_to_withdraw_is_noted(desk: DispatchDesk) -> None:
    case_id = await desk.demand()
    await desk.repaired(case_id)
    await desk.deliver(withdrawn(desk, demand=case_id))
    case = await desk.case(case_id)
    assert (case["state"], case["history"][-1]["action"]) == ("following_up", "withdrawn_late")


async def test_an_alarm_opens_one_repair_and_the_all_clear_is_told_to_it(desk: DispatchDesk) -> None:
    registered = EquipmentRegistered(property="tower", equipment="EL-01", system="elevator", critical=True)
    await desk.fact(registered)
    await desk.deliver(state(-9, "faulty", alarm=True), state(-8, "faulty", alarm=True))
    await desk.deliver(state(-7, "faulty", alarm=True))
    (case,) = await desk.cases()
    assert (case["kind"], case["priority"], case["subject"]) == ("repair", "urgent", "elevators")
    assert case["raised_at"] == "2026-11-23T03:51:00Z"
    await desk.deliver(state(-5, "intact"))
    await desk.deliver(state(-4, "intact"))
    told = (await desk.case(case["id"]))["history"]
    assert [entry["action"] for entry in told] == ["raise", "assign", "all_clear"]


async def test_a_fault_without_an_alarm_opens_nothing(desk: DispatchDesk) -> None:
    await desk.deliver(state(-9, "faulty"), state(-8, "under_repair"), state(-7, "intact"))
    assert await desk.cases() == []


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_two_alarms_are_two_repairs_whatever_is_heard_first(
    desk: DispatchDesk, order: tuple[int, ...]
) -> None:
    told = [state(-9, "faulty", alarm=True), state(-7, "intact"), state(-5, "faulty", alarm=True)]
    for number in order:
        await desk.deliver(told[number])
    cases = await desk.cases()
    assert sorted(case["raised_at"] for case in cases) == ["2026-11-23T03:51:00Z", "2026-11-23T03:55:00Z"]
    cleared = [
        case["raised_at"]
        for case in cases
        if "all_clear" in {entry["action"] for entry in (await desk.case(case["id"]))["history"]}
    ]
    assert cleared == ["2026-11-23T03:51:00Z"]


async def test_an_alarm_after_the_repair_was_finished_is_another_repair(desk: DispatchDesk) -> None:
    await desk.deliver(state(-9, "faulty", alarm=True))
    (case,) = await desk.cases()
    await desk.repaired(case["id"])
    desk.clock.advance(timedelta(hours=1))
    await desk.deliver(state(30, "faulty", alarm=True))
    assert len(await desk.cases()) == 2


async def test_a_failed_inspection_opens_the_work_that_mends_it_once(desk: DispatchDesk) -> None:
    def told(passed: int) -> InspectionRecorded:
        return InspectionRecorded(
            property="tower", inspection="i1", line="cleaning", checked=10, passed=passed
        )

    await desk.fact(told(10), NOW - 9 * MINUTE)
    assert await desk.cases() == []
    await desk.fact(told(8), NOW - 8 * MINUTE)
    await desk.fact(told(7), NOW - 7 * MINUTE)
    (case,) = await desk.cases()
    assert (case["kind"], case["subject"], case["perspective"]) == ("help", "cleaning", "management")
    await desk.fact(told(10), NOW - 5 * MINUTE)
    await desk.fact(told(0), NOW - 6 * MINUTE)
    history = (await desk.case(case["id"]))["history"]
    assert [entry["action"] for entry in history if entry["action"] != "assign"] == ["raise", "all_clear"]


async def test_a_residents_tier_moves_priority_and_the_latest_registration_holds(desk: DispatchDesk) -> None:
    def told(tier: str) -> ResidentRegistered:
        return ResidentRegistered(property="tower", resident="r1", tier=tier, language="en")

    await desk.fact(told("vip"), NOW)
    await desk.fact(told("plain"), NOW - MINUTE)
    case_id = await desk.demand(requester={"id": "r1"})
    assert (await desk.case(case_id))["priority"] == "high"
    assert (await desk.spoken("guanjia.case.opened.v1"))[0].data.language == "en"
