"""Keeps the gauges fresh: every half second, and more seldom where counting takes long."""

import asyncio
from time import monotonic
from typing import TYPE_CHECKING

import structlog

from services.kpi.operations.breaches import publish_flips
from services.kpi.queries.scorecards import Scorecard, load_scorecard
from shared.database.engine import is_transient

if TYPE_CHECKING:
    from services.kpi.app import Kpi

_log = structlog.get_logger(__name__)
_EVERY_SECONDS = 0.5
_REST = 3
"""How many times as long as it takes to count, it rests."""


async def refresh_gauges(service: "Kpi") -> list[Scorecard]:
    """Count every property's rates as of now, show them, and tell what flipped."""
    boards = []
    for prop in service.properties.values():
        async with service.database.snapshot() as connection:
            boards.append(await load_scorecard(connection, prop, service.clock.now()))
    service.gauges.show(boards, service.clock.now())
    for board in boards:
        await publish_flips(service, board)
    return boards


async def keep_gauges_fresh(service: "Kpi") -> None:
    """Refresh for ever. While the database is away the last figures stand."""
    while True:
        began = monotonic()
        try:
            await refresh_gauges(service)
        except Exception as error:
            if not is_transient(error):
                _log.error("the rates were not refreshed", exc_info=error)
        await asyncio.sleep(max(_EVERY_SECONDS, _REST * (monotonic() - began)))
