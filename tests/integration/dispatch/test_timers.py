"""What the system does by itself when time goes by: each thing once, whoever looks."""

import asyncio
from datetime import timedelta

from services.dispatch.app import Dispatch
from services.dispatch.queries.timers import next_due_at
from tests.integration.dispatch.conftest import NOW, DispatchDriver, service_context
from tests.support.waiting import eventually


async def test_it_warns_before_a_deadline_then_tells_that_it_was_missed_each_once(
    dispatch: DispatchDriver,
) -> None:
    case_id = await dispatch.deliver_demand()
    await dispatch.take_action(case_id, "accept")
    await dispatch.pass_time(minutes=91)
    await dispatch.check_due_cases()
    notices = await dispatch.published_events("guanjia.case.deadline.v1")
    assert [(e.data.clock, e.data.outcome) for e in notices] == [("arrive", "warned")]
    await dispatch.pass_time(minutes=30)
    await dispatch.pass_time(minutes=30)
    notices = await dispatch.published_events("guanjia.case.deadline.v1")
    assert [(e.data.clock, e.data.outcome) for e in notices] == [("arrive", "warned"), ("arrive", "missed")]
    assert notices[-1].time == NOW + timedelta(hours=2)


async def test_a_passed_deadline_is_missed_before_any_timer_has_fired(dispatch: DispatchDriver) -> None:
    case_id = await dispatch.deliver_demand()
    dispatch.clock.advance(timedelta(minutes=31))
    clocks = {clock["clock"]: clock for clock in (await dispatch.get_case(case_id))["deadlines"]}
    assert clocks["respond"]["missed_at"] == clocks["respond"]["due_at"] == "2026-11-23T04:30:00Z"


async def test_an_offline_phone_takes_a_miss_back(dispatch: DispatchDriver) -> None:
    case_id = await dispatch.deliver_demand()
    await dispatch.take_action(case_id, "accept", at="2026-11-23T04:00:00Z")
    await dispatch.pass_time(hours=3)
    case = await dispatch.take_action(case_id, "arrive", at="2026-11-23T05:00:00Z")
    arrive = next(clock for clock in case["deadlines"] if clock["clock"] == "arrive")
    assert (arrive["met_at"], arrive["missed_at"]) == ("2026-11-23T05:00:00Z", None)


async def test_waiting_stops_the_clock_and_its_timers(dispatch: DispatchDriver) -> None:
    case_id = await dispatch.deliver_demand()
    for action in ("accept", "arrive"):
        await dispatch.take_action(case_id, action)
    await dispatch.take_action(case_id, "wait", data={"reason": "parts"})
    await dispatch.pass_time(days=3)
    case = await dispatch.take_action(case_id, "resume")
    complete = next(clock for clock in case["deadlines"] if clock["clock"] == "complete")
    assert complete["paused_seconds"] == 3 * 86400
    assert complete["due_at"] == "2026-11-27T04:00:00Z"
    assert await dispatch.published_events("guanjia.case.deadline.v1") == []


async def test_a_job_that_nobody_accepts_goes_to_another_one_level_up(dispatch: DispatchDriver) -> None:
    case_id = await dispatch.deliver_demand()
    first = (await dispatch.get_case(case_id))["assignee"]
    await dispatch.pass_time(minutes=16)
    case = await dispatch.get_case(case_id)
    assert (case["state"], case["level"]) == ("dispatched", 1)
    assert case["assignee"] != first
    assert [entry["action"] for entry in case["history"]] == ["raise", "assign", "lapse", "assign"]


async def test_an_accepted_job_does_not_lapse(dispatch: DispatchDriver) -> None:
    case_id = await dispatch.deliver_demand()
    await dispatch.take_action(case_id, "accept")
    await dispatch.pass_time(minutes=20)
    assert (await dispatch.get_case(case_id))["state"] == "accepted"


async def test_while_nobody_is_there_it_looks_again_every_minute_and_climbs(dispatch: DispatchDriver) -> None:
    case_id = await dispatch.deliver_demand(subject="water_supply")
    for person in ("wang", "li"):
        if (await dispatch.get_case(case_id))["assignee"] != person:
            await dispatch.take_action(case_id, "assign", data={"engineer": person})
        await dispatch.take_action(case_id, "decline", actor=person)
        await dispatch.check_due_cases()
    case = await dispatch.get_case(case_id)
    assert (case["state"], case["level"]) == ("reported", 1)
    async with dispatch.service.database.snapshot() as connection:
        assert await next_due_at(connection) == NOW + timedelta(minutes=1)
    await dispatch.pass_time(minutes=1)
    assert (await dispatch.get_case(case_id))["level"] == 1
    await dispatch.pass_time(minutes=15)
    assert (await dispatch.get_case(case_id))["level"] == 2


async def test_a_closed_case_has_no_timers_left(dispatch: DispatchDriver) -> None:
    case_id = await dispatch.deliver_demand()
    await dispatch.take_action(case_id, "cancel")
    async with dispatch.service.database.snapshot() as connection:
        assert await next_due_at(connection) is None


async def test_two_copies_fire_each_timer_once(dispatch: DispatchDriver) -> None:
    events = [dispatch.accepted_event() for _ in range(30)]
    await dispatch.deliver(*events)
    for event in events:
        await dispatch.take_action(event.data.demand, "accept")
    dispatch.clock.advance(timedelta(minutes=100))
    if not dispatch.service.database.is_postgres:
        await dispatch.check_due_cases()
    else:
        context = service_context(dispatch.settings, dispatch.clock)
        other = Dispatch(context)
        await other.prepare()
        await asyncio.gather(
            *(copy.timer_watch.check_due_cases() for copy in (dispatch.service, other) for _ in range(3))
        )
        await dispatch.check_due_cases()
        await other.close()
        await context.bus.stop()
    notices = await dispatch.published_events("guanjia.case.deadline.v1")
    assert sorted(e.data.case for e in notices) == sorted(e.data.demand for e in events)


async def test_the_watch_sleeps_until_something_is_due_and_is_woken_by_an_earlier_timer(
    dispatch: DispatchDriver,
) -> None:
    watching = asyncio.create_task(dispatch.service.timer_watch.run())
    case_id = await dispatch.deliver_demand()

    async def read_level_a_second_later() -> int:
        dispatch.clock.advance(timedelta(seconds=1))
        return int((await dispatch.get_case(case_id))["level"])

    dispatch.clock.advance(timedelta(minutes=16))
    try:
        await eventually(read_level_a_second_later, (1).__eq__)
    finally:
        watching.cancel()
