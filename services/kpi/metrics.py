"""The gauges of the target rates, as they were last counted or found to be right still.

Their text is made when a property is counted. A scrape joins it, and writes only what goes on by itself: the
figures that grow with time, and the instants that all are of."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from services.kpi.domain.figures import Figure
from services.kpi.domain.outlook import Outlook
from services.kpi.domain.rates import RATES
from services.kpi.domain.scorecard import Scorecard
from services.kpi.domain.targets import targets_of
from services.kpi.domain.windows import Window

FAMILIES: Mapping[str, str] = {
    "guanjia_kpi_ratio": "A target rate; no sample, no series",
    "guanjia_kpi_numerator": "What reached the target",
    "guanjia_kpi_denominator": "What was counted",
    "guanjia_kpi_target_ratio": "What the rate is to reach",
    "guanjia_kpi_target_met": "1 if the target is met; no sample, no series",
    "guanjia_milestone_deadline_timestamp_seconds": "When a milestone is due",
    "guanjia_milestone_reached": "1 if a milestone is reached",
    "guanjia_word_of_mouth_index": "3 x satisfied - 30 x dissatisfied",
    "guanjia_dissatisfied_answers": "Ratings 1 and 2 by reason",
    "guanjia_kpi_as_of_timestamp_seconds": "The instant that the rates are of",
}
"""Name → help, in the order of exposition."""
_HEADER = "# HELP {name} {help}\n# TYPE {name} gauge\n"


@dataclass
class PropertyGauges:
    """What is shown of a property: how it was counted, from which revision of its items, and the instant as
    of which it is known to be right. `text` is that of what does not go on by itself."""

    outlook: Outlook
    revision: int | None
    as_of: datetime
    text: Mapping[str, bytes]


class RateMetrics:
    """The gauges of all properties; all figures of a property are of one instant."""

    def __init__(self) -> None:
        self._properties: dict[str, PropertyGauges] = {}

    def confirm(self, property_id: str, revision: int, now: datetime, day: date) -> bool:
        """Whether what is shown is what counting at `now`, of that local day, would come to.

        If it is, it is shown as of `now` from then on. `revision` is that of the items at `now` or later."""
        gauges = self._properties.get(property_id)
        if gauges is None or gauges.revision != revision or not gauges.outlook.holds_at(now, day):
            return False
        gauges.as_of = now
        return True

    def show(self, outlook: Outlook, revision: int | None) -> None:
        """Show what was counted. `revision`: that of the items then or before; None: count again anyway."""
        scorecard, text = outlook.scorecard, _text_of(outlook)
        self._properties[scorecard.property.id] = PropertyGauges(outlook, revision, scorecard.as_of, text)

    def render(self) -> bytes:
        """What a scrape is told."""
        text = {name: [_HEADER.format(name=name, help=FAMILIES[name]).encode()] for name in FAMILIES}
        for property_id, gauges in self._properties.items():
            going_on = PropertyLines(property_id)
            for window, figures in gauges.outlook.growing_at(gauges.as_of).items():
                going_on.add_figures(window, figures)
            going_on.add("guanjia_kpi_as_of_timestamp_seconds", gauges.as_of.timestamp())
            for part in (gauges.text, going_on.encode()):
                for name, lines in part.items():
                    text[name].append(lines)
        return b"".join(lines for family in text.values() for lines in family)


class PropertyLines:
    """Series of one property in the making: lines by family."""

    def __init__(self, property_id: str) -> None:
        self._property = property_id
        self._lines: dict[str, list[str]] = defaultdict(list)

    def encode(self) -> dict[str, bytes]:
        """Family → its lines, as Prometheus reads them."""
        return {name: "".join(lines).encode() for name, lines in self._lines.items()}

    def add(self, name: str, value: float, **labels: str) -> None:
        """One series, with the labels beside that of the property."""
        named = sorted((labels | {"property": self._property}).items())
        labelled = ",".join(f'{label}="{_escape(text)}"' for label, text in named)
        self._lines[name].append(f"{name}{{{labelled}}} {float(value)!r}\n")

    def add_figures(self, window: Window, figures: Iterable[Figure]) -> None:
        """Rates in a window."""
        for figure in figures:
            labels, scale = {"kpi": figure.rate.kpi, "window": window}, figure.rate.unit.scale
            self.add("guanjia_kpi_numerator", figure.numerator / scale, **labels)
            self.add("guanjia_kpi_denominator", figure.denominator / scale, **labels)
            if figure.ratio is not None and figure.met is not None:
                self.add("guanjia_kpi_ratio", float(figure.ratio), **labels)
                self.add("guanjia_kpi_target_met", figure.met, **labels)

    def add_word_of_mouth(self, scorecard: Scorecard, window: Window) -> None:
        """The word of mouth in a window."""
        mouth = scorecard.word_of_mouth[window]
        self.add("guanjia_word_of_mouth_index", mouth.index, window=window)
        for reason, count in mouth.reasons.items():
            self.add("guanjia_dissatisfied_answers", count, window=window, reason=reason)

    def add_aims(self, scorecard: Scorecard) -> None:
        """Targets and milestones."""
        for kpi, target in targets_of(scorecard.property).items():
            self.add("guanjia_kpi_target_ratio", float(target), kpi=kpi, bound=RATES[kpi].bound)
        day = scorecard.property.local_day(scorecard.as_of)
        for milestone in scorecard.property.milestones:
            due, reached = milestone.deadline_at.timestamp(), milestone.reached(day)
            self.add("guanjia_milestone_deadline_timestamp_seconds", due, milestone=milestone.milestone)
            self.add("guanjia_milestone_reached", reached, milestone=milestone.milestone)


def _text_of(outlook: Outlook) -> dict[str, bytes]:
    """The series that stay as they are while the outlook holds: family → text."""
    scorecard, series = outlook.scorecard, PropertyLines(outlook.scorecard.property.id)
    growing = {(window, figure.rate.kpi) for window, figure, _ in outlook.growing}
    for window, figures in scorecard.figures.items():
        series.add_figures(window, [f for f in figures if (window, f.rate.kpi) not in growing])
        series.add_word_of_mouth(scorecard, window)
    series.add_aims(scorecard)
    return series.encode()


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
