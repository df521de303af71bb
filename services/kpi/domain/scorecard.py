"""The rates of one property as of an instant, and the word of mouth beside them."""

from dataclasses import dataclass
from datetime import datetime

from services.kpi.domain.figures import Figure, Sums, compute_figure
from services.kpi.domain.rates import RATES
from services.kpi.domain.targets import targets_of
from services.kpi.domain.windows import WINDOWS, Window
from services.kpi.domain.word_of_mouth import WordOfMouth, word_of_mouth
from shared.properties.property import Property


@dataclass(frozen=True)
class Scorecard:
    """Every window's figures, in the order of the catalogue, and every window's word of mouth."""

    property: Property
    as_of: datetime
    figures: dict[Window, list[Figure]]
    word_of_mouth: dict[Window, WordOfMouth]


def make_scorecard(prop: Property, as_of: datetime, sums: Sums) -> Scorecard:
    """From the sums of all families as of that instant."""
    targets = targets_of(prop)
    return Scorecard(
        prop,
        as_of,
        {w: [compute_figure(rate, targets[kpi], w, sums) for kpi, rate in RATES.items()] for w in WINDOWS},
        {window: word_of_mouth(window, sums) for window in WINDOWS},
    )
