"""A scorecard and how it goes on by itself, so that nothing is counted again before something changed.

Between two edges a figure stays as it is, or grows by the same each microsecond where time is what it sums.
An edge is where some item first counts or no longer does, where the local day (and with it some window)
begins, or where a growing figure comes to meet its target or no longer does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple

from services.kpi.domain.figures import Figure, RunningSums, compute_figure
from services.kpi.domain.items import to_micros
from services.kpi.domain.scorecard import Scorecard, make_scorecard
from services.kpi.domain.windows import Window
from shared.properties.property import Property


class GrowingFigure(NamedTuple):
    """A figure in a window and what it grows by each microsecond."""

    window: Window
    figure: Figure
    growth: Figure


@dataclass(frozen=True)
class Outlook:
    """A scorecard, the figures of it that grow, and the local day and the instant until which they do."""

    scorecard: Scorecard
    growing: Sequence[GrowingFigure]
    day: date
    next_edge: int

    def holds_at(self, now: datetime, day: date) -> bool:
        """Whether counting at `now`, of that local day, would come to the same, as far as the items do."""
        return self.scorecard.as_of <= now and to_micros(now) < self.next_edge and day == self.day

    def growing_at(self, now: datetime) -> Mapping[Window, list[Figure]]:
        """What the growing figures have come to at an instant when this `holds_at`."""
        micros = to_micros(now) - to_micros(self.scorecard.as_of)
        grown: dict[Window, list[Figure]] = {}
        for window, figure, growth in self.growing:
            grown.setdefault(window, []).append(figure.after(micros, growth))
        return grown


def make_outlook(prop: Property, as_of: datetime, running: RunningSums) -> Outlook:
    """From what all families come to as of that instant, and how that goes on."""
    scorecard = make_scorecard(prop, as_of, running.sums)
    growing = [
        GrowingFigure(window, figure, growth)
        for window, figures in scorecard.figures.items()
        for figure in figures
        if (growth := compute_figure(figure.rate, figure.target, window, running.growth)).is_something
    ]
    flips = [figure.micros_until_flip(growth) for _, figure, growth in growing]
    edges = [running.next_edge, *(to_micros(as_of) + micros for micros in flips if micros is not None)]
    return Outlook(scorecard, growing, prop.local_day(as_of), min(edges))
