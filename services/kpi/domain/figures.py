"""How sums over items become figures: a rate in a window, compared with its target.

Counts are compared as exact fractions: 100 % means exactly all. Without a denominator there is no sample."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from services.kpi.domain.rate import How, Part, Rate
from services.kpi.domain.windows import Window


class Totals(NamedTuple):
    """What the items of a family come to in a window."""

    denominator: int
    numerator: int


SumKey = tuple[How, str, Window]
"""How a family is counted, the family, the window."""
Sums = Mapping[SumKey, Totals]
"""A family without items is left out."""
NOTHING = Totals(0, 0)


class RunningSums(NamedTuple):
    """What all families come to as of an instant, and how that goes on while the windows begin where they do.

    Until the next edge, where some item first counts or no longer does (microseconds since 1970), every sum
    grows by the same each microsecond: by nothing, but where time itself is summed."""

    sums: Sums
    growth: Sums
    next_edge: int


@dataclass(frozen=True)
class Figure:
    """A rate in a window, exactly, in units of what items hold."""

    rate: Rate
    target: Decimal
    numerator: int
    denominator: int

    @property
    def ratio(self) -> Fraction | None:
        """Numerator by denominator; None without a sample."""
        return Fraction(self.numerator, self.denominator) if self.denominator else None

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without a sample."""
        if self.ratio is None:
            return None
        return self._lead >= 0

    @property
    def _lead(self) -> int:
        """By how much the target is met, in parts that are as large for every figure of the same target."""
        target = Fraction(self.target)
        lead = self.numerator * target.denominator - self.denominator * target.numerator
        return lead if self.rate.bound == "min" else -lead

    @property
    def is_something(self) -> bool:
        """Whether anything was counted on either side."""
        return bool(self.numerator or self.denominator)

    def after(self, micros: int, growth: "Figure") -> "Figure":
        """The figure so many microseconds later, each of which adds `growth`."""
        numerator = self.numerator + micros * growth.numerator
        return replace(self, numerator=numerator, denominator=self.denominator + micros * growth.denominator)

    def micros_until_flip(self, growth: "Figure") -> int | None:
        """After how many microseconds, each of which adds `growth`, `met` becomes another; None: never."""
        if not self.denominator:
            return 1 if growth.denominator else None
        lead, step = self._lead, growth._lead
        if lead >= 0:
            return lead // -step + 1 if step < 0 else None
        return -(lead // step) if step > 0 else None


def compute_figure(rate: Rate, target: Decimal, window: Window, sums: Sums) -> Figure:
    """`rate` in `window`, from the sums of all families."""
    return Figure(
        rate,
        target,
        sum(totals.numerator for totals in totals_of(rate.numerator, window, sums)),
        sum(totals.denominator for totals in totals_of(rate.denominator, window, sums)),
    )


def totals_of(part: Part, window: Window, sums: Sums) -> list[Totals]:
    """What each family of `part` comes to."""
    return [sums.get((part.how, family, window), NOTHING) for family in part.families]


def decimal_text(value: int, scale: int) -> str:
    """`value / scale` as a plain decimal string without trailing zeros; `scale` is a power of ten."""
    integer, rest = divmod(value, scale)
    digits = str(rest).rjust(len(str(scale)) - 1, "0").rstrip("0") if rest else ""
    return f"{integer}.{digits}" if digits else str(integer)
