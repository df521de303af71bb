"""What dispatch shows of itself."""

from datetime import timedelta

from prometheus_client import generate_latest

from tests.integration.dispatch.conftest import DispatchDesk


async def scraped(desk: DispatchDesk) -> str:
    await desk.service.scrape()
    return generate_latest(desk.service.registry).decode()


async def test_open_cases_are_shown_by_state_and_gone_when_they_are_over(desk: DispatchDesk) -> None:
    one, _ = await desk.demand(), await desk.demand()
    line = 'guanjia_cases_open{kind="repair",property="tower",state="dispatched"}'
    assert f"{line} 2.0" in await scraped(desk)
    await desk.act(one, "cancel")
    assert f"{line} 1.0" in await scraped(desk)


async def test_deadlines_are_counted_by_what_became_of_them(desk: DispatchDesk) -> None:
    case_id = await desk.demand()
    await desk.act(case_id, "accept")
    await desk.pass_time(minutes=100)
    await desk.pass_time(minutes=30)
    text = await scraped(desk)
    for clock, outcome in (("respond", "met"), ("arrive", "warned"), ("arrive", "missed")):
        labels = f'clock="{clock}",kind="repair",outcome="{outcome}",property="tower"'
        assert f"guanjia_deadlines_total{{{labels}}} 1.0" in text


async def test_the_lead_time_is_measured_from_raised_to_done(desk: DispatchDesk) -> None:
    case_id = await desk.demand()
    desk.clock.advance(timedelta(minutes=14))
    await desk.repaired(case_id)
    text = await scraped(desk)
    assert "guanjia_demand_lead_time_seconds_count 1.0" in text
    assert "guanjia_demand_lead_time_seconds_sum 840.0" in text
    assert 'guanjia_demand_lead_time_seconds_bucket{le="900.0"} 1.0' in text
