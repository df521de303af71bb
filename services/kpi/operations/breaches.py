"""Publishes when a target is missed and when it is met again: once per flip in the month's window."""

from collections.abc import Mapping, Sequence

from sqlalchemy import BigInteger, and_, literal, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.kpi.domain.figures import Figure, decimal_text
from services.kpi.domain.items import to_micros
from services.kpi.domain.scorecard import Scorecard
from services.kpi.domain.windows import Window
from services.kpi.models import standings
from shared.database.bulk import BulkInsert
from shared.host import Host
from shared.messages.cloudevents import Event
from shared.messages.events import KpiBreached, KpiRecovered

WINDOW: Window = "month"
SOURCE = "guanjia/kpi"
_FIRST = BulkInsert(standings, lambda insert: insert.on_conflict_do_nothing().returning(standings.c.kpi))


def find_flips(scorecard: Scorecard, last: Mapping[str, bool]) -> list[Figure]:
    """What is not as it was last published, by rate. Without a sample nothing changes."""
    month = scorecard.figures[WINDOW]
    return [
        figure for figure in month if figure.met is not None and last.get(figure.rate.kpi) is not figure.met
    ]


async def publish_flips(service: Host, scorecard: Scorecard, flipped: Sequence[Figure]) -> None:
    """Publish these, but for what another copy has published or knows of something later."""
    async with service.database.transaction() as connection:
        events = [
            event for figure in flipped for event in await _note_standing(connection, scorecard, figure)
        ]
        await service.record(connection, *events)


async def _note_standing(
    connection: AsyncConnection, scorecard: Scorecard, figure: Figure
) -> Sequence[Event[KpiBreached]]:
    """Note the new standing; the event, if this was the one to note it. A rate that begins met is no news."""
    property_id, kpi, as_of = scorecard.property.id, figure.rate.kpi, to_micros(scorecard.as_of)
    row = {"property": property_id, "kpi": kpi, "met": figure.met, "as_of": as_of}
    if await _FIRST.execute(connection, [row]):
        return () if figure.met else (_event(scorecard, figure),)
    older = and_(
        standings.c.property == property_id,
        standings.c.kpi == kpi,
        standings.c.met != figure.met,
        standings.c.as_of < literal(as_of, BigInteger),
    )
    flip = await connection.execute(update(standings).where(older).values(met=figure.met, as_of=as_of))
    return (_event(scorecard, figure),) if flip.rowcount else ()


def _event(scorecard: Scorecard, figure: Figure) -> Event[KpiBreached]:
    kind = KpiRecovered if figure.met else KpiBreached
    data = kind(
        property=scorecard.property.id,
        kpi=figure.rate.kpi,
        window=WINDOW,
        numerator=decimal_text(figure.numerator, figure.rate.unit.scale),
        denominator=decimal_text(figure.denominator, figure.rate.unit.scale),
        target=format(figure.target, "f"),
    )
    return Event.of(data, source=SOURCE, time=scorecard.as_of)
