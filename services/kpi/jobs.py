"""Keeps the gauges fresh: twice a second, and more seldom where counting takes long.

Only what has changed is counted: properties whose items did, as their revision tells, and those at which time
passed an edge. While nothing changes a refresh is one statement, whatever the number of properties."""

import asyncio
from time import monotonic

from services.kpi.operations.breaches import find_flips, publish_flips
from services.kpi.operations.context import KpiContext
from services.kpi.queries.revisions import load_revisions
from services.kpi.queries.scorecards import load_outlook
from services.kpi.queries.standings import load_standings
from shared.database.engine import is_transient
from shared.properties.property import Property
from shared.run_forever import run_forever

_EVERY_SECONDS = 0.5


async def refresh_gauges(context: KpiContext) -> None:
    """Show every property's rates as of now, and publish what flipped."""
    now, properties = context.clock.now(), context.properties.values()
    async with context.database.autocommit() as connection:
        revisions = await load_revisions(connection)
    days = {zone: now.astimezone(zone).date() for zone in {prop.timezone for prop in properties}}
    outdated = [
        prop
        for prop in properties
        if not context.gauges.confirm(prop.id, revisions.get(prop.id, 0), now, days[prop.timezone])
    ]
    for prop in outdated:
        await _count_property(context, prop, revisions.get(prop.id, 0))


async def _count_property(context: KpiContext, prop: Property, revision: int) -> None:
    """Count a property's rates, publish what flipped, and show them: again next time, until none flips."""
    async with context.database.snapshot() as connection:
        outlook = await load_outlook(connection, prop, context.clock.now())
        flipped = find_flips(outlook.scorecard, await load_standings(connection, prop.id))
    if flipped:
        await publish_flips(context, outlook.scorecard, flipped)
    context.gauges.show(outlook, None if flipped else revision)


async def keep_gauges_fresh(context: KpiContext) -> None:
    """Refresh for ever. While the database is away the last figures stand, as of when they were known.

    It rests for at least as long as it counted."""

    async def refresh_and_rest() -> None:
        began = monotonic()
        await refresh_gauges(context)
        elapsed = monotonic() - began
        await asyncio.sleep(max(_EVERY_SECONDS - elapsed, elapsed))

    await run_forever("kpi gauges", refresh_and_rest, is_temporary=is_transient)
