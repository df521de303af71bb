"""Keeps the gauges fresh: every half second, and more seldom where counting takes long."""

import asyncio
from time import monotonic

from services.kpi.domain.scorecard import Scorecard
from services.kpi.operations.breaches import publish_flips
from services.kpi.operations.context import KpiContext
from services.kpi.queries.scorecards import load_scorecard
from shared.database.engine import is_transient
from shared.run_forever import run_forever

_EVERY_SECONDS = 0.5
_REST = 3
"""How many times as long as it takes to count, it rests."""


async def refresh_gauges(context: KpiContext) -> list[Scorecard]:
    """Count every property's rates as of now, show them, and publish what flipped."""
    scorecards = []
    for prop in context.properties.values():
        async with context.database.snapshot() as connection:
            scorecards.append(await load_scorecard(connection, prop, context.clock.now()))
    context.gauges.show(scorecards, context.clock.now())
    for scorecard in scorecards:
        await publish_flips(context, scorecard)
    return scorecards


async def keep_gauges_fresh(context: KpiContext) -> None:
    """Refresh for ever. While the database is away the last figures stand."""

    async def refresh_and_rest() -> None:
        began = monotonic()
        await refresh_gauges(context)
        await asyncio.sleep(max(_EVERY_SECONDS, _REST * (monotonic() - began)))

    await run_forever("kpi gauges", refresh_and_rest, is_temporary=is_transient)
