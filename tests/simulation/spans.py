"""Simulated spans for tests: lived once in a folder, and everything that is asked about them taken down."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import delete, select

from guanjia.simulation.life import Lived
from guanjia.simulation.span import Rates, Span, lived
from services.dispatch.domain.case import Case
from services.dispatch.models import case_history
from services.dispatch.models import cases as dispatch_cases
from services.intake.models import demands, events
from services.kpi.models import items
from services.kpi.operations.items import rebuild_items
from services.survey.operations.property_rules import SOURCE as SURVEY
from shared.messages.cloudevents import Event, decode
from shared.messages.facts import DATA_DECODERS, DemandRaised, DemandWithdrawn
from shared.properties.property import Property
from shared.service import Service
from shared.settings import Settings
from tests.unit.kpi.oracle import History, World

Report = Callable[[Lived], None]
UNTIL = datetime(2026, 11, 23, 4, tzinfo=UTC)


@dataclass(frozen=True)
class Taken:
    """What a span came to."""

    settings: Settings
    rates: Rates
    recounted: Rates
    counts: dict[str, int]
    refused: dict[str, int]
    left: dict[str, int]
    demands: list[str]
    cases: list[str]
    world: World


def live(
    folder: Path, seed: int, days: float, until: datetime = UNTIL, report: Report = lambda _: None
) -> Taken:
    """Live `days` until `until` in `folder`."""
    return asyncio.run(_live(folder, seed, days, until, report))


async def _live(folder: Path, seed: int, days: float, until: datetime, report: Report) -> Taken:
    async with lived(folder, seed, until - timedelta(days=days), until, report) as span:
        by_name = {service.name: service for service in span.world.process.services}
        rates = await span.rates()
        demanded, opened = (
            await _ids(by_name["intake"], demands),
            await _ids(by_name["dispatch"], dispatch_cases),
        )
        world = World(_property(span).timezone, await _facts(by_name["intake"]),
                      await _histories(by_name["dispatch"], _property(span)),
                      await _follow_ups(by_name["survey"]))  # fmt: skip
        left = await span.world.left()
        return Taken(span.settings, rates, await _recounted(span, by_name["kpi"]), dict(span.counts),
                     dict(span.door.refused), left, demanded, opened, world)  # fmt: skip


async def _recounted(span: Span, kpi: Service) -> Rates:
    async with kpi.database.transaction() as connection:
        await connection.execute(delete(items))
    await rebuild_items(kpi)
    return await span.rates()


async def _ids(service: Service, table: Any) -> list[str]:
    async with service.database.snapshot() as connection:
        return sorted((await connection.execute(select(table.c.id))).scalars())


async def _facts(intake: Service) -> list[Event]:
    query = select(events.c.source, events.c.id, events.c.type, events.c.time, events.c.data)
    async with intake.database.snapshot() as connection:
        told = [
            Event(source=row.source, id=row.id, type=row.type, time=row.time,
                  data=DATA_DECODERS[row.type].decode(row.data))
            for row in await connection.execute(query)
        ]  # fmt: skip
    return [fact for fact in told if not isinstance(fact.data, DemandRaised | DemandWithdrawn)]


async def _histories(dispatch: Service, prop: Property) -> list[History]:
    query = select(case_history).order_by(case_history.c.case_id, case_history.c.seq)
    found: dict[str, History] = {}
    async with dispatch.database.snapshot() as connection:
        for case in (await connection.execute(select(dispatch_cases.c.id, dispatch_cases.c.body))).all():
            found[case.id] = _history(prop, case.id, case.body)
        for row in await connection.execute(query):
            value = row.data.get("valid", row.data.get("passed"))
            found[row.case_id].steps.append((row.at, row.action, value))
    return list(found.values())


def _history(prop: Property, id_: str, body: bytes) -> History:
    case = msgspec.json.decode(body, type=Case)
    clocks = prop.service_level("repair", case.priority).clocks if case.kind == "repair" else {}
    targets = {name: target.within for name, target in clocks.items() if target.within is not None}
    targets = targets if case.outside is None else {}
    return History(id_, case.kind, case.raised_at, targets, rework_of=case.rework_of)


async def _follow_ups(survey: Service) -> list[Event]:
    table = survey.outbox.table
    async with survey.database.snapshot() as connection:
        told = [decode(body) for body in (await connection.execute(select(table.c.body))).scalars()]
    return [event for event in told if event.source == SURVEY]


def _property(span: Span) -> Property:
    return next(iter(span.world.process.services[0].properties.values()))
