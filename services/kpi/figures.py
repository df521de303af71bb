"""All 17 rates of a property in every window, as of an instant."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from services.kpi import queries
from services.kpi.mood import Mood, mood
from services.kpi.rates import RATES, Figure, figure
from services.kpi.windows import WINDOWS, Window
from shared.properties import Property


@dataclass(frozen=True)
class Board:
    """The rates of one property as of an instant: every window's figures in their order, and its mood."""

    property: Property
    as_of: datetime
    figures: dict[Window, list[Figure]]
    moods: dict[Window, Mood]


async def board_of(connection: AsyncConnection, prop: Property, as_of: datetime) -> Board:
    """Counted from the tables in one statement."""
    sums = await queries.sums(connection, prop.id, as_of, prop.timezone)
    figures = {w: [figure(rate, prop.targets[rate.kpi], w, sums) for rate in RATES] for w in WINDOWS}
    return Board(prop, as_of, figures, {window: mood(window, sums) for window in WINDOWS})
