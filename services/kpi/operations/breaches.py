"""Tells when a target is missed and when it is met again: once per flip in the month's window."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import BigInteger, and_, literal, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from services.kpi.domain.items import to_micros
from services.kpi.domain.rates import Figure, decimal_text
from services.kpi.domain.windows import Window
from services.kpi.models import standings
from services.kpi.queries.scorecards import Scorecard
from shared.host import Host
from shared.messages.cloudevents import Event
from shared.messages.events import KpiBreached, KpiRecovered

WINDOW: Window = "month"
SOURCE = "guanjia/kpi"


async def publish_flips(service: Host, board: Scorecard) -> None:
    """Compare `board` with what was last told, and tell what changed. Without a sample nothing changes."""
    async with service.database.snapshot() as connection:
        told = await _last_standings(connection, board.property.id)
    flipped = [f for f in board.figures[WINDOW] if f.met is not None and told.get(f.rate.kpi) is not f.met]
    if not flipped:
        return
    async with service.database.transaction() as connection:
        events = [event for figure in flipped for event in await _note_standing(connection, board, figure)]
        await service.record(connection, *events)
    service.committed()


async def _last_standings(connection: AsyncConnection, property_id: str) -> Mapping[str, bool]:
    query = select(standings.c.kpi, standings.c.met).where(standings.c.property == property_id)
    return {row.kpi: row.met for row in await connection.execute(query)}


async def _note_standing(connection: AsyncConnection, board: Scorecard, figure: Figure) -> Sequence[Event]:
    """Note the new standing; the event, if this was the one to note it. A rate that begins met is no news."""
    values = {"met": figure.met, "as_of": to_micros(board.as_of)}
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    key = {"property": board.property.id, "kpi": figure.rate.kpi}
    first = dialect.insert(standings).values(**key, **values).on_conflict_do_nothing()
    if (await connection.execute(first)).rowcount:
        return () if figure.met else (_event(board.as_of, board.property.id, figure),)
    older = and_(
        standings.c.property == board.property.id,
        standings.c.kpi == figure.rate.kpi,
        standings.c.met != figure.met,
        standings.c.as_of < literal(to_micros(board.as_of), BigInteger),
    )
    flip = await connection.execute(update(standings).where(older).values(**values))
    return (_event(board.as_of, board.property.id, figure),) if flip.rowcount else ()


def _event(time: datetime, property_id: str, figure: Figure) -> Event:
    kind = KpiRecovered if figure.met else KpiBreached
    data = kind(
        property=property_id,
        kpi=figure.rate.kpi,
        window=WINDOW,
        numerator=decimal_text(figure.numerator, figure.rate.scale),
        denominator=decimal_text(figure.denominator, figure.rate.scale),
        target=format(figure.target.target, "f"),
    )
    return Event.of(data, source=SOURCE, time=time)
