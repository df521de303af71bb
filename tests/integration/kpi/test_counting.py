"""The rates from the tables equal a slow recount, on both databases, however events arrive."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from random import Random

import pytest
from sqlalchemy import delete, insert, select, update

from services.kpi.domain.windows import WINDOWS
from services.kpi.models import items
from services.kpi.operations.items import rebuild_items
from services.kpi.queries.scorecards import load_scorecard
from shared.messages.cloudevents import Event
from tests.integration.kpi.conftest import KpiDesk
from tests.unit.kpi.counting import Exact, exact_of
from tests.unit.kpi.oracle import World, recount
from tests.unit.kpi.worlds import WorldMaker, snapshot


def news_of(world: World, random: Random, property_id: str = "tower") -> list[Event]:
    """Everything that is told of a world: every version of every case, some things twice, in any order."""
    told = [*world.facts, *world.follow_ups]
    for history in world.histories:
        for steps in range(len(history.steps) + 1):
            case = snapshot(history, property_id, steps)
            told.append(Event.of(case, source="/dispatch", time=case.entry.at))
    told += random.choices(told, k=len(told)) if told else []
    random.shuffle(told)
    return told


async def tell_in_sets(desk: KpiDesk, told: Sequence[Event], random: Random) -> None:
    """In sets of any size, three at the same time, as three copies would take them."""
    rest = list(told)
    while rest:
        sets = []
        for _ in range(3):
            size = random.choice((1, 7, 60))
            sets.append(rest[:size])
            rest = rest[size:]
        await asyncio.gather(*(desk.tell(*one) for one in sets if one))


async def shown(desk: KpiDesk, at: datetime, property_id: str = "tower") -> dict[str, Exact]:
    """Window → kpi → numerator and denominator, from the tables."""
    async with desk.service.database.snapshot() as connection:
        scorecard = await load_scorecard(connection, desk.service.properties[property_id], at)
    return {window: exact_of(scorecard.figures[window]) for window in WINDOWS}


@pytest.mark.parametrize("seed", range(4))
async def test_the_rates_equal_a_slow_recount_however_they_were_told(desk: KpiDesk, seed: int) -> None:
    random, maker = Random(seed), WorldMaker(seed, 60)
    world = maker.make()
    await tell_in_sets(desk, news_of(world, random), random)
    for at in (desk.clock.now(), *(maker.moment() for _ in range(5))):
        assert await shown(desk, at) == {window: recount(world, at, window) for window in WINDOWS}


async def test_ids_of_things_belong_to_their_property(desk: KpiDesk) -> None:
    random = Random(1)
    tower, annex = (WorldMaker(seed, 40, name).make() for seed, name in ((11, "tower"), (12, "annex")))
    annex.facts[:] = [renamed(fact) for fact in annex.facts]
    annex.follow_ups[:] = [renamed(fact) for fact in annex.follow_ups]
    told = news_of(tower, random) + news_of(annex, random, "annex")
    random.shuffle(told)
    await tell_in_sets(desk, told, random)
    at = desk.clock.now()
    assert (await shown(desk, at))["year"] == recount(tower, at, "year")
    assert (await shown(desk, at, "annex"))["year"] == recount(annex, at, "year")


def renamed(fact: Event) -> Event:
    """The same fact from another source."""
    return Event(source=f"/annex{fact.source}", id=fact.id, type=fact.type, time=fact.time, data=fact.data)


async def test_a_rebuild_gives_the_same_items_and_mends_what_was_bent(desk: KpiDesk) -> None:
    random, database = Random(5), desk.service.database
    world = WorldMaker(5, 80).make()
    await tell_in_sets(desk, news_of(world, random), random)
    before = await every_item(desk)
    assert await rebuild_items(desk.service) > 50
    assert await every_item(desk) == before
    async with database.transaction() as connection:
        await connection.execute(update(items).where(items.c.kind == "bill").values(good=items.c.good + 1))
        await connection.execute(delete(items).where(items.c.kind == "case"))
        await connection.execute(
            insert(items).values(dict(before[0]) | {"kind": "incident", "thing": "invented"})
        )
    await rebuild_items(desk.service)
    assert await every_item(desk) == before


async def test_a_rebuild_goes_on_beside_arrivals(desk: KpiDesk) -> None:
    random = Random(6)
    world = WorldMaker(6, 60).make()
    told = news_of(world, random)
    await tell_in_sets(desk, told[: len(told) // 2], random)
    await asyncio.gather(rebuild_items(desk.other), tell_in_sets(desk, told[len(told) // 2 :], random))
    at = desk.clock.now()
    assert await shown(desk, at) == {window: recount(world, at, window) for window in WINDOWS}


async def every_item(desk: KpiDesk) -> list[dict[str, object]]:
    """All rows of items."""
    order = (items.c.property, items.c.kind, items.c.thing, items.c.seq)
    async with desk.service.database.snapshot() as connection:
        return [dict(row) for row in (await connection.execute(select(items).order_by(*order))).mappings()]


async def test_a_second_delivery_changes_nothing(desk: KpiDesk) -> None:
    world = WorldMaker(8, 30).make()
    told = news_of(world, Random(8))
    await desk.tell(*told)
    before = await every_item(desk)
    await desk.tell(*told)
    assert await every_item(desk) == before
