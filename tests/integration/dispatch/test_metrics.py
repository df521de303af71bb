"""What dispatch shows of itself."""

from datetime import timedelta

from prometheus_client import generate_latest

from tests.integration.dispatch.conftest import DispatchDriver


async def scraped(dispatch: DispatchDriver) -> str:
    await dispatch.service.update_metrics()
    return generate_latest(dispatch.service.registry).decode()


async def test_open_cases_are_shown_by_state_and_gone_when_they_are_over(dispatch: DispatchDriver) -> None:
    one, _ = await dispatch.deliver_demand(), await dispatch.deliver_demand()
    line = 'guanjia_cases_open{kind="repair",property="tower",state="dispatched"}'
    assert f"{line} 2.0" in await scraped(dispatch)
    await dispatch.take_action(one, "cancel")
    assert f"{line} 1.0" in await scraped(dispatch)


async def test_deadlines_are_counted_by_what_became_of_them(dispatch: DispatchDriver) -> None:
    case_id = await dispatch.deliver_demand()
    await dispatch.take_action(case_id, "accept")
    await dispatch.pass_time(minutes=100)
    await dispatch.pass_time(minutes=30)
    text = await scraped(dispatch)
    for clock, outcome in (("respond", "met"), ("arrive", "warned"), ("arrive", "missed")):
        labels = f'clock="{clock}",kind="repair",outcome="{outcome}",property="tower"'
        assert f"guanjia_deadlines_total{{{labels}}} 1.0" in text


async def test_the_lead_time_is_measured_from_raised_to_done(dispatch: DispatchDriver) -> None:
    case_id = await dispatch.deliver_demand()
    dispatch.clock.advance(timedelta(minutes=14))
    await dispatch.complete_repair(case_id)
    text = await scraped(dispatch)
    assert "guanjia_demand_lead_time_seconds_count 1.0" in text
    assert "guanjia_demand_lead_time_seconds_sum 840.0" in text
    assert 'guanjia_demand_lead_time_seconds_bucket{le="900.0"} 1.0' in text
