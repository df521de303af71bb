"""The gauges between two counts: at any instant they are what counting everything from scratch gives."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from random import Random

import pytest
from sqlalchemy import Table, delete, event, select, update
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import DropTable

from services.kpi.domain.items import FOREVER, from_micros
from services.kpi.jobs import refresh_gauges
from services.kpi.metrics import RateMetrics
from services.kpi.models import cases, facts, items, revisions
from services.kpi.operations.items import rebuild_items
from services.kpi.queries.scorecards import load_outlook
from shared.messages.cloudevents import Event
from shared.messages.facts import EquipmentRegistered
from tests.integration.kpi.conftest import KpiDesk
from tests.integration.kpi.test_counting import news_of, renamed
from tests.unit.kpi.facts import fact, inspected, on
from tests.unit.kpi.oracle import History
from tests.unit.kpi.worlds import WorldMaker, snapshot

STEPS = 40
MICROSECOND = timedelta(microseconds=1)
NOTHING_CLEANED = b'guanjia_kpi_denominator{kpi="cleaning_pass",property="tower",window="month"} 0.0\n'


async def count_from_scratch(desk: KpiDesk) -> bytes:
    """What a copy would show that knows nothing yet."""
    gauges = RateMetrics()
    for prop in desk.service.properties.values():
        async with desk.service.database.snapshot() as connection:
            gauges.show(await load_outlook(connection, prop, desk.clock.now()), None)
    return gauges.render()


async def assert_fresh(desk: KpiDesk) -> None:
    """Both copies show, after a refresh, what counting from scratch gives."""
    for copy in (desk.service, desk.other):
        await refresh_gauges(copy)
    expected = await count_from_scratch(desk)
    assert desk.service.render_metrics() == expected
    assert desk.other.render_metrics() == expected


class RandomLife:
    """What may happen to the items and to the clock, in any order."""

    def __init__(self, desk: KpiDesk, seed: int) -> None:
        self.desk, self.random = desk, Random(seed)
        self.makers = [WorldMaker(seed, 25), WorldMaker(seed + 100, 25, "annex")]
        tower, annex = (maker.make() for maker in self.makers)
        annex.facts[:] = [renamed(fact) for fact in annex.facts]
        annex.follow_ups[:] = [renamed(fact) for fact in annex.follow_ups]
        self.news = news_of(tower, self.random) + news_of(annex, self.random, "annex")
        self.random.shuffle(self.news)

    async def step(self) -> None:
        """One thing, or two at once."""
        happen: list[Callable[[], Awaitable[object]]] = [
            self.tell, self.tell_both, self.rebuild, self.forget,
            self.jump, self.jump, self.meet_an_edge, self.meet_an_edge, self.go_on,
        ]  # fmt: skip
        await self.random.choice(happen)()

    def some_news(self) -> list[Event]:
        return self.random.choices(self.news, k=self.random.choice((1, 5, 30)))

    async def tell(self) -> None:
        """Another copy is told something."""
        await self.desk.tell(*self.some_news(), copy=self.desk.other)

    async def tell_both(self) -> None:
        """Both copies are told something, and the gauges are refreshed beside it."""
        await asyncio.gather(
            self.desk.tell(*self.some_news()),
            refresh_gauges(self.desk.service),
            self.desk.tell(*self.some_news(), copy=self.desk.other),
            refresh_gauges(self.desk.service),
        )

    async def rebuild(self) -> None:
        """`guanjia kpi rebuild`, with arrivals and refreshes beside it."""
        await asyncio.gather(
            rebuild_items(self.desk.other),
            self.desk.tell(*self.some_news()),
            refresh_gauges(self.desk.service),
        )

    async def forget(self) -> None:
        """Some facts and cases are gone, and after a rebuild so are their items."""
        word, number = self.random.choice("abefikp"), self.random.choice("0123456789")
        async with self.desk.service.database.transaction() as connection:
            await connection.execute(delete(facts).where(facts.c.thing.startswith(word)))
            await connection.execute(delete(cases).where(cases.c.case_id.endswith(number)))
        await rebuild_items(self.desk.other)

    def set_clock(self, at: datetime) -> None:
        """Forward or back."""
        self.desk.clock.advance(at - self.desk.clock.now())

    async def jump(self) -> None:
        """To an instant at or beside the edge of a day, month or year, or long after."""
        self.set_clock(self.makers[0].moment() + self.random.choice((0, 0, 1)) * timedelta(days=17))

    async def go_on(self) -> None:
        """A little later, or earlier."""
        self.desk.clock.advance(self.random.choice((0.5, 30, 4000, -4000)) * timedelta(seconds=1))

    async def meet_an_edge(self) -> None:
        """Through an instant where an item or a figure changes by itself."""
        edges = [*await self.edges_of_items(), *await self.edges_of_outlooks()]
        if edges:
            edge = from_micros(self.random.choice(edges))
            for moment in (edge - MICROSECOND, edge, edge + MICROSECOND):
                self.set_clock(moment)
                await assert_fresh(self.desk)

    async def edges_of_items(self) -> list[int]:
        async with self.desk.service.database.snapshot() as connection:
            rows = await connection.execute(select(items.c.counted_at, items.c.since, items.c.until))
            return sorted({instant for row in rows for instant in row if instant < FOREVER})

    async def edges_of_outlooks(self) -> list[int]:
        async with self.desk.service.database.snapshot() as connection:
            properties, now = self.desk.service.properties.values(), self.desk.clock.now()
            outlooks = [await load_outlook(connection, prop, now) for prop in properties]
        return [outlook.next_edge for outlook in outlooks if outlook.next_edge < FOREVER] * 20


@pytest.mark.parametrize("seed", range(6))
async def test_they_are_what_counting_from_scratch_gives_whatever_happened(desk: KpiDesk, seed: int) -> None:
    life = RandomLife(desk, seed)
    for _ in range(STEPS):
        await life.step()
        await assert_fresh(desk)


@contextmanager
def statements_meanwhile() -> Iterator[list[tuple[str, str]]]:
    """Each statement that databases are asked for, and its parameters."""
    statements: list[tuple[str, str]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        statements.append((statement, str(parameters)))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(Engine, "before_cursor_execute", note)


async def refresh_later(desk: KpiDesk) -> list[tuple[str, str]]:
    """The statements of a refresh half a second later."""
    desk.clock.advance(timedelta(seconds=0.5))
    with statements_meanwhile() as statements:
        await refresh_gauges(desk.service)
    return [(text, parameters) for text, parameters in statements if not text.startswith("BEGIN")]


async def test_while_nothing_changes_a_refresh_is_one_statement_for_all_properties(desk: KpiDesk) -> None:
    await desk.tell(*(inspected(f"k{n}", "cleaning", 10, 9, on("05")) for n in range(3)))
    await refresh_later(desk)
    await refresh_later(desk)  # a breach was told: it is looked once more whether that is what stands
    assert ["revisions" in text for text, _ in await refresh_later(desk)] == [True]


async def test_of_several_properties_only_that_is_counted_whose_items_changed(desk: KpiDesk) -> None:
    await refresh_later(desk)
    await desk.tell(inspected("k1", "cleaning", 10, 10, on("05")), copy=desk.other)
    counted = [parameters for text, parameters in await refresh_later(desk) if "GROUP BY" in text]
    assert ["tower" in parameters for parameters in counted] == [True]


async def test_what_grows_with_time_grows_without_being_counted(desk: KpiDesk) -> None:
    registered = fact(EquipmentRegistered(property="tower", equipment="e1", system="elevator"), on("20"))
    await desk.tell(registered)
    await refresh_later(desk)
    await refresh_later(desk)
    assert len(await refresh_later(desk)) == 1
    seconds = (desk.clock.now() - on("20")).total_seconds()
    line = f'kpi_denominator{{kpi="equipment_intact",property="tower",window="month"}} {seconds!r}\n'
    assert line.encode() in desk.service.render_metrics()


async def test_a_clock_that_is_set_back_shows_what_had_happened_by_then(desk: KpiDesk) -> None:
    await desk.tell(inspected("k1", "cleaning", 10, 10, on("24", "12:00")))
    await assert_fresh(desk)
    desk.clock.advance(on("24", "11:00") - desk.clock.now())
    await assert_fresh(desk)
    assert NOTHING_CLEANED in desk.service.render_metrics()


async def test_what_a_rebuild_of_another_copy_mends_is_shown(desk: KpiDesk) -> None:
    history = History("c1", "repair", on("20"), {"respond": timedelta(hours=1)}, [(on("20"), "accept", None)])
    case = snapshot(history)
    await desk.tell(
        inspected("k1", "cleaning", 10, 9, on("05")), Event.of(case, source="/d", time=case.entry.at)
    )
    for bent in (items.c.kind == "inspection", items.c.kind == "case"):
        async with desk.other.database.transaction() as connection:
            await connection.execute(update(items).where(bent).values(weight=items.c.weight + 1))
            await connection.execute(update(revisions).values(revision=revisions.c.revision + 1))
        await assert_fresh(desk)
        await rebuild_items(desk.other)
        await assert_fresh(desk)


@pytest.mark.parametrize("lost", [facts, cases])
async def test_what_a_rebuild_of_another_copy_removes_is_no_longer_shown(desk: KpiDesk, lost: Table) -> None:
    history = History("c1", "repair", on("20"), steps=[(on("20"), "complete", None)], rework_of="c0")
    case = snapshot(history)
    await desk.tell(
        inspected("k1", "cleaning", 10, 9, on("05")), Event.of(case, source="/d", time=case.entry.at)
    )
    await assert_fresh(desk)
    async with desk.other.database.transaction() as connection:
        await connection.execute(delete(lost))
    await rebuild_items(desk.other)
    await assert_fresh(desk)
    assert (NOTHING_CLEANED in desk.service.render_metrics()) == (lost is facts)


async def test_while_the_database_is_away_the_figures_say_how_old_they_are(desk: KpiDesk) -> None:
    await refresh_later(desk)
    before, shown = desk.clock.now(), desk.service.render_metrics()
    await desk.service.database.dispose()
    async with desk.other.database.transaction() as connection:
        await connection.execute(DropTable(revisions))
    desk.clock.advance(timedelta(minutes=5))
    with pytest.raises(DBAPIError):
        await refresh_gauges(desk.service)
    assert desk.service.render_metrics() == shown
    line = f'guanjia_kpi_as_of_timestamp_seconds{{property="tower"}} {before.timestamp()!r}\n'
    assert line.encode() in shown
