"""All 17 rates of a property in every window, as of an instant."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from services.kpi.domain.rates import RATES, Figure, compute_figure
from services.kpi.domain.windows import WINDOWS, Window
from services.kpi.domain.word_of_mouth import WordOfMouth, word_of_mouth
from services.kpi.queries.sums import sum_families
from shared.properties.property import Property


@dataclass(frozen=True)
class Scorecard:
    """The rates of one property as of an instant: every window's figures in their order, and its mood."""

    property: Property
    as_of: datetime
    figures: dict[Window, list[Figure]]
    moods: dict[Window, WordOfMouth]


async def load_scorecard(connection: AsyncConnection, prop: Property, as_of: datetime) -> Scorecard:
    """Counted from the tables in one statement."""
    sums = await sum_families(connection, prop.id, as_of, prop.timezone)
    figures = {w: [compute_figure(rate, prop.targets[rate.kpi], w, sums) for rate in RATES] for w in WINDOWS}
    return Scorecard(prop, as_of, figures, {window: word_of_mouth(window, sums) for window in WINDOWS})
