"""What those who answered will tell others, and why the dissatisfied are: shown beside the rates."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from services.kpi.domain.rates import Sums
from services.kpi.domain.windows import Window

LINES = ("customer_service", "security", "maintenance", "cleaning", "greening")
REASONS: Mapping[str, Decimal | None] = {
    "service": Decimal("0.68"),
    "product": Decimal("0.14"),
    "price": Decimal("0.09"),
    "other": Decimal("0.09"),
    "unstated": None,
}
"""Why the dissatisfied leave, and the share of each that is known from the trade."""

FAMILIES = tuple(f"dissatisfied_{reason}" for reason in REASONS)
"""Families of items that are counted for this alone."""


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
    reasons = {reason: sums.get((f"dissatisfied_{reason}", window), (0, 0))[0] for reason in REASONS}
    satisfied = sum(sums.get((f"answer_{line}", window), (0, 0))[1] for line in LINES)
    return WordOfMouth(satisfied, sum(reasons.values()), reasons)
