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
from tests.integration.dispatch.conftest import NOW, DispatchDriver

MINUTE = timedelta(minutes=1)


def withdrawn_event(dispatch: DispatchDriver, **fields: str) -> Event:
    data = DemandWithdrawn(property="tower", reason="it works again", **fields)
    return Event.of(data, source="app", time=dispatch.clock.now())


def state(minute: int, what: str, alarm: bool = False) -> Event:
    data = EquipmentState(property="tower", equipment="EL-01", state=what, alarm=alarm)  # type: ignore[arg-type]
    return Event.of(data, source="bms", time=NOW + minute * MINUTE)


async def test_a_demand_taken_back_is_withdrawn(dispatch: DispatchDriver) -> None:
    case_id = await dispatch.deliver_demand()
    await dispatch.deliver(withdrawn_event(dispatch, demand=case_id))
    case = await dispatch.get_case(case_id)
    assert (case["state"], case["history"][-1]["data"]) == ("cancelled", {"reason": "it works again"})


@pytest.mark.parametrize("by", ["demand", "reference"])
async def test_taken_back_before_it_came_it_is_withdrawn_when_it_comes(
    dispatch: DispatchDriver, by: str
) -> None:
    event = dispatch.accepted_event(reference="R-7")
    named = {"demand": event.data.demand} if by == "demand" else {"reference": "R-7"}
    await dispatch.deliver(withdrawn_event(dispatch, **named))
    await dispatch.deliver(event)
    assert (await dispatch.get_case(event.data.demand))["state"] == "cancelled"


async def test_in_one_set_the_order_makes_no_difference(dispatch: DispatchDriver) -> None:
    one, two = dispatch.accepted_event(), dispatch.accepted_event()
    await dispatch.deliver(
        withdrawn_event(dispatch, demand=one.data.demand),
        one,
        two,
        withdrawn_event(dispatch, demand=two.data.demand),
    )
    assert {case["state"] for case in await dispatch.list_cases()} == {"cancelled"}


@pytest.mark.parametrize("first", ["demands", "withdrawals"])
async def test_nobody_takes_back_what_is_another_propertys_or_sources(
    dispatch: DispatchDriver, first: str
) -> None:
    annex = dispatch.accepted_event(property="annex")
    other = dispatch.accepted_event(source="hotline", reference="R-7")
    demands = [annex, other]
    withdrawals = [
        withdrawn_event(dispatch, demand=annex.data.demand),
        withdrawn_event(dispatch, reference="R-7"),
    ]
    for events in (demands, withdrawals) if first == "demands" else (withdrawals, demands):
        await dispatch.deliver(*events)
    everything = dispatch.headers_for("admin", properties=None)
    for event in (annex, other):
        assert (await dispatch.get_case(event.data.demand, everything))["state"] == "dispatched"


async def test_too_late_to_withdraw_is_noted(dispatch: DispatchDriver) -> None:
    case_id = await dispatch.deliver_demand()
    await dispatch.complete_repair(case_id)
    await dispatch.deliver(withdrawn_event(dispatch, demand=case_id))
    case = await dispatch.get_case(case_id)
    assert (case["state"], case["history"][-1]["action"]) == ("following_up", "withdrawn_late")


async def test_an_alarm_opens_one_repair_and_the_all_clear_is_told_to_it(dispatch: DispatchDriver) -> None:
    registered = EquipmentRegistered(property="tower", equipment="EL-01", system="elevator", critical=True)
    await dispatch.deliver_fact(registered)
    await dispatch.deliver(state(-9, "faulty", alarm=True), state(-8, "faulty", alarm=True))
    await dispatch.deliver(state(-7, "faulty", alarm=True))
    (case,) = await dispatch.list_cases()
    assert (case["kind"], case["priority"], case["subject"]) == ("repair", "urgent", "elevators")
    assert case["raised_at"] == "2026-11-23T03:51:00Z"
    await dispatch.deliver(state(-5, "intact"))
    await dispatch.deliver(state(-4, "intact"))
    history = (await dispatch.get_case(case["id"]))["history"]
    assert [entry["action"] for entry in history] == ["raise", "assign", "all_clear"]


async def test_a_fault_without_an_alarm_opens_nothing(dispatch: DispatchDriver) -> None:
    await dispatch.deliver(state(-9, "faulty"), state(-8, "under_repair"), state(-7, "intact"))
    assert await dispatch.list_cases() == []


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_two_alarms_are_two_repairs_whatever_is_heard_first(
    dispatch: DispatchDriver, order: tuple[int, ...]
) -> None:
    states = [state(-9, "faulty", alarm=True), state(-7, "intact"), state(-5, "faulty", alarm=True)]
    for number in order:
        await dispatch.deliver(states[number])
    cases = await dispatch.list_cases()
    assert sorted(case["raised_at"] for case in cases) == ["2026-11-23T03:51:00Z", "2026-11-23T03:55:00Z"]
    cleared = [
        case["raised_at"]
        for case in cases
        if "all_clear" in {entry["action"] for entry in (await dispatch.get_case(case["id"]))["history"]}
    ]
    assert cleared == ["2026-11-23T03:51:00Z"]


async def test_an_alarm_after_the_repair_was_finished_is_another_repair(dispatch: DispatchDriver) -> None:
    await dispatch.deliver(state(-9, "faulty", alarm=True))
    (case,) = await dispatch.list_cases()
    await dispatch.complete_repair(case["id"])
    dispatch.clock.advance(timedelta(hours=1))
    await dispatch.deliver(state(30, "faulty", alarm=True))
    assert len(await dispatch.list_cases()) == 2


async def test_a_failed_inspection_opens_the_work_that_mends_it_once(dispatch: DispatchDriver) -> None:
    def inspection(passed: int) -> InspectionRecorded:
        return InspectionRecorded(
            property="tower", inspection="i1", line="cleaning", checked=10, passed=passed
        )

    await dispatch.deliver_fact(inspection(10), NOW - 9 * MINUTE)
    assert await dispatch.list_cases() == []
    await dispatch.deliver_fact(inspection(8), NOW - 8 * MINUTE)
    await dispatch.deliver_fact(inspection(7), NOW - 7 * MINUTE)
    (case,) = await dispatch.list_cases()
    assert (case["kind"], case["subject"], case["perspective"]) == ("help", "cleaning", "management")
    await dispatch.deliver_fact(inspection(10), NOW - 5 * MINUTE)
    await dispatch.deliver_fact(inspection(0), NOW - 6 * MINUTE)
    history = (await dispatch.get_case(case["id"]))["history"]
    assert [entry["action"] for entry in history if entry["action"] != "assign"] == ["raise", "all_clear"]


async def test_a_residents_tier_moves_priority_and_the_latest_registration_holds(
    dispatch: DispatchDriver,
) -> None:
    def registration(tier: str) -> ResidentRegistered:
        return ResidentRegistered(property="tower", resident="r1", tier=tier, language="en")

    await dispatch.deliver_fact(registration("vip"), NOW)
    await dispatch.deliver_fact(registration("plain"), NOW - MINUTE)
    case_id = await dispatch.deliver_demand(requester={"id": "r1"})
    assert (await dispatch.get_case(case_id))["priority"] == "high"
    assert (await dispatch.published_events("guanjia.case.opened.v1"))[0].data.language == "en"
