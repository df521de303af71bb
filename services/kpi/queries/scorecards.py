"""Every rate of a property in every window, as of an instant."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from services.kpi.domain.outlook import Outlook, make_outlook
from services.kpi.domain.scorecard import Scorecard, make_scorecard
from services.kpi.queries.sums import sum_families
from shared.properties.property import Property


async def load_scorecard(connection: AsyncConnection, prop: Property, as_of: datetime) -> Scorecard:
    """Counted from the tables in one statement."""
    return make_scorecard(prop, as_of, (await sum_families(connection, prop.id, as_of, prop.timezone)).sums)


async def load_outlook(connection: AsyncConnection, prop: Property, as_of: datetime) -> Outlook:
    """The same, with how it goes on."""
    return make_outlook(prop, as_of, await sum_families(connection, prop.id, as_of, prop.timezone))
