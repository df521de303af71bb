"""What Prometheus scrapes, and what is told when a target is missed or met again."""

import asyncio
from datetime import timedelta
from itertools import pairwise
from random import Random

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import select

from services.kpi.domain.rates import RATES
from services.kpi.jobs import refresh_gauges
from services.kpi.models import messaging_tables
from shared.messages.cloudevents import Event, decode
from shared.messages.facts import EquipmentRegistered, EquipmentState
from tests.integration.kpi.conftest import KpiDesk
from tests.unit.kpi.facts import answered, fact, inspected, on

Labels = dict[str, str]


async def scraped(desk: KpiDesk, name: str, **labels: str) -> list[tuple[Labels, float]]:
    """Samples of a gauge that have these labels, after a refresh."""
    await refresh_gauges(desk.service)
    text = desk.service.render_metrics().decode()
    return [
        (sample.labels, sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]


async def value(desk: KpiDesk, name: str, kpi: str, window: str = "month") -> float | None:
    """One gauge of the tower; None where there is no series."""
    found = await scraped(desk, name, property="tower", kpi=kpi, window=window)
    return found[0][1] if found else None


async def test_a_fact_moves_its_gauges(desk: KpiDesk) -> None:
    assert await value(desk, "guanjia_kpi_ratio", "cleaning_pass") is None
    assert await value(desk, "guanjia_kpi_target_met", "cleaning_pass") is None
    assert await value(desk, "guanjia_kpi_denominator", "cleaning_pass") == 0
    await desk.tell(inspected("k1", "cleaning", 10, 9, on("05")))
    assert await value(desk, "guanjia_kpi_ratio", "cleaning_pass") == 0.9
    assert await value(desk, "guanjia_kpi_numerator", "cleaning_pass", "year") == 9
    assert await value(desk, "guanjia_kpi_denominator", "cleaning_pass", "rolling_30d") == 10
    assert await value(desk, "guanjia_kpi_target_met", "cleaning_pass") == 0


async def test_targets_and_milestones_stand_beside_the_rates(desk: KpiDesk) -> None:
    targets = await scraped(desk, "guanjia_kpi_target_ratio", property="tower")
    assert [labels["kpi"] for labels, _ in targets] == list(RATES)
    assert ({"property": "tower", "kpi": "valid_complaint", "bound": "max"}, 0.01) in targets
    reached = await scraped(desk, "guanjia_milestone_reached", property="tower")
    assert {labels["milestone"]: state for labels, state in reached} == {"iso_9000": 1, "model_building": 0}
    due = await scraped(desk, "guanjia_milestone_deadline_timestamp_seconds", milestone="iso_9000")
    assert due[0][1] == on("15").replace(month=4, hour=0).timestamp() + 24 * 3600


async def test_the_word_of_mouth_weighs_the_dissatisfied_tenfold(desk: KpiDesk) -> None:
    await desk.tell(
        *(answered(f"f{n}", 5, on("04")) for n in range(4)), answered("f9", 1, on("05"), reason="price")
    )
    mouth = await scraped(desk, "guanjia_word_of_mouth_index", property="tower", window="month")
    assert mouth[0][1] == 3 * 4 - 30
    reasons = await scraped(desk, "guanjia_dissatisfied_answers", property="tower", window="month")
    assert {labels["reason"]: count for labels, count in reasons if count} == {"price": 1}


async def spoken(desk: KpiDesk) -> list[tuple[str, str, str]]:
    """(type, kpi, numerator) of what the outbox holds."""
    async with desk.service.database.snapshot() as connection:
        query = select(messaging_tables.outbox.c.body).order_by(
            messaging_tables.outbox.c.xid, messaging_tables.outbox.c.position
        )
        told: list[Event] = [decode(body) for body in await connection.scalars(query)]
    return [(event.type, event.data.kpi, event.data.numerator) for event in told]


async def test_a_breach_and_a_recovery_are_told_once_each(desk: KpiDesk) -> None:
    await desk.tell(inspected("k1", "cleaning", 10, 10, on("05")))
    await refresh_gauges(desk.service)
    assert await spoken(desk) == []
    await desk.tell(inspected("k1", "cleaning", 10, 9, on("06")))
    await later(desk)
    await later(desk)
    assert await spoken(desk) == [("guanjia.kpi.breached.v1", "cleaning_pass", "9")]
    await desk.tell(inspected("k1", "cleaning", 10, 10, on("07")))
    await later(desk)
    await later(desk)
    assert (await spoken(desk))[1:] == [("guanjia.kpi.recovered.v1", "cleaning_pass", "10")]


async def test_a_month_without_a_sample_is_no_recovery(desk: KpiDesk) -> None:
    await desk.tell(inspected("k1", "cleaning", 10, 9, on("05")))
    await refresh_gauges(desk.service)
    desk.clock.advance(on("24").replace(month=12) - desk.clock.now())
    await refresh_gauges(desk.service)
    assert [name for name, _, _ in await spoken(desk)] == ["guanjia.kpi.breached.v1"]


async def test_several_copies_tell_a_flip_once(desk: KpiDesk) -> None:
    await desk.tell(inspected("k1", "cleaning", 10, 9, on("05")))
    await asyncio.gather(*(refresh_gauges(copy) for copy in (desk.service, desk.other) * 3))
    assert len(await spoken(desk)) == 1
    await desk.tell(inspected("k1", "cleaning", 10, 10, on("06")))
    desk.clock.advance(timedelta(seconds=1))
    await asyncio.gather(*(refresh_gauges(copy) for copy in (desk.service, desk.other) * 3))
    assert [name for name, _, _ in await spoken(desk)] == [
        "guanjia.kpi.breached.v1",
        "guanjia.kpi.recovered.v1",
    ]


async def test_what_time_alone_brings_below_its_target_and_above_is_told(desk: KpiDesk) -> None:
    faulty = EquipmentState(property="tower", equipment="e1", state="faulty")
    intact = EquipmentState(property="tower", equipment="e1", state="intact")
    registered = EquipmentRegistered(property="tower", equipment="e1", system="elevator")
    await desk.tell(fact(registered, on("20")), fact(faulty, on("20")), fact(intact, on("21")))
    desk.clock.advance(on("21") - desk.clock.now())
    for moment in (on("21", "20:00"), on("22", "11:59"), on("22", "12:00"), on("22", "12:01")):
        await refresh_gauges(desk.service)
        desk.clock.advance(moment - desk.clock.now())
    assert [(type_, numerator) for type_, _, numerator in await spoken(desk)] == [
        ("guanjia.kpi.breached.v1", "0"),
        ("guanjia.kpi.recovered.v1", "86400"),
    ]


async def test_a_flip_that_a_clock_set_back_holds_up_is_told_once_it_has_passed(desk: KpiDesk) -> None:
    await desk.tell(inspected("k1", "cleaning", 10, 9, on("05")))
    await refresh_gauges(desk.service)
    desk.clock.advance(timedelta(hours=-1))
    await desk.tell(inspected("k1", "cleaning", 10, 10, on("06")))
    await refresh_gauges(desk.service)
    assert len(await spoken(desk)) == 1
    desk.clock.advance(timedelta(hours=2))
    await refresh_gauges(desk.service)
    assert [name for name, _, _ in await spoken(desk)][1:] == ["guanjia.kpi.recovered.v1"]


@pytest.mark.parametrize("seed", range(3))
async def test_two_copies_tell_every_flip_once_and_none_is_missing(desk: KpiDesk, seed: int) -> None:
    random, copies = Random(seed), (desk.service, desk.other)
    met: list[bool] = []
    for _ in range(25):
        passed = random.choice((9, 10, 10))
        await desk.tell(inspected("k1", "cleaning", 10, passed, desk.clock.now()), copy=random.choice(copies))
        desk.clock.advance(timedelta(seconds=1))
        await asyncio.gather(*(refresh_gauges(copy) for copy in random.choices(copies, k=3)))
        met.append(passed == 10)
    flips = [now for before, now in pairwise([True, *met]) if now is not before]
    names = [name for name, _, _ in await spoken(desk)]
    assert names == [f"guanjia.kpi.{'recovered' if now else 'breached'}.v1" for now in flips]


async def later(desk: KpiDesk) -> None:
    """A refresh a moment later."""
    desk.clock.advance(timedelta(minutes=1))
    await refresh_gauges(desk.service)
