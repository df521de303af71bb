"""The word of mouth of those who answered, and why the dissatisfied are so: it stands beside the rates."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from services.kpi.domain.figures import Sums, totals_of
from services.kpi.domain.rate import AREAS, Part
from services.kpi.domain.windows import Window

REASONS: Mapping[str, Decimal | None] = {
    "service": Decimal("0.68"),
    "product": Decimal("0.14"),
    "price": Decimal("0.09"),
    "other": Decimal("0.09"),
    "unstated": None,
}
"""Why the dissatisfied leave, and the share of each in the trade at large."""

ANSWERS = Part(tuple(f"answer_{line}" for line in AREAS))
DISSATISFIED = Part(tuple(f"dissatisfied_{reason}" for reason in REASONS))
FAMILIES = frozenset(ANSWERS.families + DISSATISFIED.families)
"""Families of items that are summed for this, each by the instant that decides the window."""


@dataclass(frozen=True)
class WordOfMouth:
    """What those who answered will tell others: one satisfied brings 3, one dissatisfied drives off 30."""

    satisfied: int
    dissatisfied: int
    reasons: Mapping[str, int]

    @property
    def index(self) -> int:
        """The word-of-mouth index."""
        return 3 * self.satisfied - 30 * self.dissatisfied


def word_of_mouth(window: Window, sums: Sums) -> WordOfMouth:
    """The word of mouth in a window, over all five lines."""
    counts = [totals.denominator for totals in totals_of(DISSATISFIED, window, sums)]
    satisfied = sum(totals.numerator for totals in totals_of(ANSWERS, window, sums))
    return WordOfMouth(satisfied, sum(counts), dict(zip(REASONS, counts, strict=True)))
