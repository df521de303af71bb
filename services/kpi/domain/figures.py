"""How sums over items become figures: a rate in a window, compared with its target.

Counts are compared as exact fractions: 100 % means exactly all. Without a denominator there is no sample."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from services.kpi.domain.rate import How, Part, Rate
from services.kpi.domain.windows import Window


class Totals(NamedTuple):
    """What the items of a family come to in a window."""

    denominator: int
    numerator: int


Sums = Mapping[tuple[How, str, Window], Totals]
"""By how they are counted, family and window; a family without items is left out."""
NOTHING = Totals(0, 0)


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
        target = Fraction(self.target)
        return self.ratio >= target if self.rate.bound == "min" else self.ratio <= target


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
