"""Simulated spans for tests: run once in a folder, with all that tests look at afterwards."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Column, delete, select

from guanjia.simulation.simulation import SimulationProgress
from guanjia.simulation.span import Rates, SimulatedSpan, simulate_span
from services.dispatch.domain.case import Case
from services.dispatch.models import cases as dispatch_cases
from services.dispatch.models import steps
from services.dispatch.queries.histories import entry_decoder
from services.intake.models import events
from services.kpi.models import items
from services.kpi.operations.items import rebuild_items
from services.survey.operations.property_rules import SOURCE as SURVEY
from shared.messages.cloudevents import Event, decode
from shared.messages.facts import DATA_DECODERS, DemandRaised, DemandWithdrawn
from shared.properties.property import Property
from shared.service import Service
from shared.settings import Settings
from tests.unit.kpi.oracle import History, World

Report = Callable[[SimulationProgress], None]
UNTIL = datetime(2026, 11, 23, 4, tzinfo=UTC)


@dataclass(frozen=True)
class SpanResult:
    """What a span came to."""

    settings: Settings
    rates: Rates
    recounted_rates: Rates
    counts: dict[str, int]
    refused: dict[str, int]
    unsettled: dict[str, int]
    demands: list[str]
    cases: list[str]
    history: World

    def fractions(self, window: str) -> dict[str, tuple[Fraction, Fraction]]:
        """The rates of a window: kpi → numerator and denominator."""
        return {
            kpi: (Fraction(numerator), Fraction(denominator))
            for kpi, numerator, denominator in self.rates[window]
        }


def simulate(
    folder: Path, seed: int, days: float, until: datetime = UNTIL, report: Report = lambda _: None
) -> SpanResult:
    """Simulate `days` until `until` in `folder`."""
    return asyncio.run(_simulate(folder, seed, days, until, report))


async def _simulate(folder: Path, seed: int, days: float, until: datetime, report: Report) -> SpanResult:
    async with simulate_span(folder, seed, until - timedelta(days=days), until, report) as span:
        by_name = {service.name: service for service in span.virtual.process.services}
        rates = await span.list_rates()
        demand_ids, case_ids = (
            await _list_ids(by_name["intake"], events.c.demand),
            await _list_ids(by_name["dispatch"], dispatch_cases.c.id),
        )
        history = World(_get_property(span).timezone, await _list_facts(by_name["intake"]),
                      await _build_histories(by_name["dispatch"], _get_property(span)),
                      await _list_follow_up_events(by_name["survey"]))  # fmt: skip
        unsettled = await span.virtual.count_unsettled()
        return SpanResult(span.settings, rates, await _recount_rates(span, by_name["kpi"]), dict(span.counts),
                     dict(span.client.refused), unsettled, demand_ids, case_ids, history)  # fmt: skip


async def _recount_rates(span: SimulatedSpan, kpi: Service) -> Rates:
    async with kpi.database.transaction() as connection:
        await connection.execute(delete(items))
    await rebuild_items(kpi)
    return await span.list_rates()


async def _list_ids(service: Service, column: Column[Any]) -> list[str]:
    async with service.database.snapshot() as connection:
        return sorted((await connection.execute(select(column).where(column.is_not(None)))).scalars())


async def _list_facts(intake: Service) -> list[Event]:
    query = select(events.c.source, events.c.id, events.c.type, events.c.time, events.c.data)
    async with intake.database.snapshot() as connection:
        facts = [
            Event(source=row.source, id=row.id, type=row.type, time=row.time,
                  data=DATA_DECODERS[row.type].decode(row.data))
            for row in await connection.execute(query)
        ]  # fmt: skip
    return [fact for fact in facts if not isinstance(fact.data, DemandRaised | DemandWithdrawn)]


async def _build_histories(dispatch: Service, prop: Property) -> list[History]:
    query = select(steps.c.case_id, steps.c.entry).order_by(steps.c.case_id, steps.c.seq)
    histories: dict[str, History] = {}
    async with dispatch.database.snapshot() as connection:
        for case in (await connection.execute(select(dispatch_cases.c.id, dispatch_cases.c.body))).all():
            histories[case.id] = _build_history(prop, case.id, case.body)
        for case_id, body in await connection.execute(query):
            entry = entry_decoder.decode(body)
            value = entry.data.get("valid", entry.data.get("passed"))
            histories[case_id].steps.append((entry.at, entry.action, value))
    return list(histories.values())


def _build_history(prop: Property, id_: str, body: bytes) -> History:
    case = msgspec.json.decode(body, type=Case)
    clocks = prop.service_level("repair", case.priority).clocks if case.kind == "repair" else {}
    targets = {name: target.within for name, target in clocks.items() if target.within is not None}
    targets = targets if case.outside is None else {}
    return History(id_, case.kind, case.raised_at, targets, rework_of=case.rework_of)


async def _list_follow_up_events(survey: Service) -> list[Event]:
    table = survey.outbox.table
    async with survey.database.snapshot() as connection:
        events = [decode(body) for body in (await connection.execute(select(table.c.body))).scalars()]
    return [event for event in events if event.source == SURVEY]


def _get_property(span: SimulatedSpan) -> Property:
    return next(iter(span.virtual.process.services[0].properties.values()))
