"""The gauges of the target rates, as of the last refresh: a scrape computes and writes nothing anew."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from prometheus_client import generate_latest
from prometheus_client.core import GaugeMetricFamily

from services.kpi.domain.figures import Figure
from services.kpi.domain.rates import RATES
from services.kpi.domain.scorecard import Scorecard
from services.kpi.domain.targets import targets_of
from services.kpi.domain.windows import Window

_RATE = ("property", "kpi", "window")


class RateMetrics:
    """What was counted last, as Prometheus reads it; all figures of a property are of one instant."""

    def __init__(self) -> None:
        self.text = b""

    def show(self, scorecards: Iterable[Scorecard], now: datetime) -> None:
        """`text` is of these scorecards from now on."""
        families = RateFamilies()
        for scorecard in scorecards:
            families.add(scorecard, now)
        self.text = generate_latest(families)


class RateFamilies:
    """One scrape's worth of series in the making."""

    def __init__(self) -> None:
        self.ratio = GaugeMetricFamily(
            "guanjia_kpi_ratio", "A target rate; no sample, no series", labels=_RATE
        )
        self.numerator = GaugeMetricFamily("guanjia_kpi_numerator", "What reached the target", labels=_RATE)
        self.denominator = GaugeMetricFamily("guanjia_kpi_denominator", "What was counted", labels=_RATE)
        self.target = GaugeMetricFamily(
            "guanjia_kpi_target_ratio", "What the rate is to reach", labels=("property", "kpi", "bound")
        )
        self.met = GaugeMetricFamily(
            "guanjia_kpi_target_met", "1 if the target is met; no sample, no series", labels=_RATE
        )
        self.deadline = GaugeMetricFamily(
            "guanjia_milestone_deadline_timestamp_seconds",
            "When a milestone is due",
            labels=("property", "milestone"),
        )
        self.reached = GaugeMetricFamily(
            "guanjia_milestone_reached", "1 if a milestone is reached", labels=("property", "milestone")
        )
        self.mouth = GaugeMetricFamily(
            "guanjia_word_of_mouth_index", "3 x satisfied - 30 x dissatisfied", labels=("property", "window")
        )
        self.reasons = GaugeMetricFamily(
            "guanjia_dissatisfied_answers",
            "Ratings 1 and 2 by reason",
            labels=("property", "window", "reason"),
        )
        self.as_of = GaugeMetricFamily(
            "guanjia_kpi_as_of_timestamp_seconds", "The instant that the rates are of", labels=("property",)
        )

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Every family, in the order of exposition."""
        yield from vars(self).values()

    def add(self, scorecard: Scorecard, now: datetime) -> None:
        """The series of one property."""
        for window, figures in scorecard.figures.items():
            for figure in figures:
                self._add_figure(scorecard.property.id, window, figure)
            self._add_word_of_mouth(scorecard, window)
        for kpi, target in targets_of(scorecard.property).items():
            self.target.add_metric((scorecard.property.id, kpi, RATES[kpi].bound), float(target))
        for milestone in scorecard.property.milestones:
            names = (scorecard.property.id, milestone.milestone)
            self.deadline.add_metric(names, milestone.deadline_at.timestamp())
            self.reached.add_metric(names, milestone.reached(scorecard.property.local_day(now)))
        self.as_of.add_metric((scorecard.property.id,), scorecard.as_of.timestamp())

    def _add_figure(self, property_id: str, window: Window, figure: Figure) -> None:
        names = (property_id, figure.rate.kpi, window)
        self.numerator.add_metric(names, figure.numerator / figure.rate.unit.scale)
        self.denominator.add_metric(names, figure.denominator / figure.rate.unit.scale)
        if figure.ratio is not None and figure.met is not None:
            self.ratio.add_metric(names, float(figure.ratio))
            self.met.add_metric(names, figure.met)

    def _add_word_of_mouth(self, scorecard: Scorecard, window: Window) -> None:
        mouth = scorecard.word_of_mouth[window]
        self.mouth.add_metric((scorecard.property.id, window), mouth.index)
        for reason, count in mouth.reasons.items():
            self.reasons.add_metric((scorecard.property.id, window, reason), count)
