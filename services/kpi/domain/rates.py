"""How the 17 target rates are counted, as one table, and how sums over items become a rate.

Counts are compared as exact fractions: 100 % means exactly all. Without a denominator there is no sample."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from services.kpi.domain.items import MONEY_SCALE, SECOND
from services.kpi.domain.windows import Window
from shared.properties.targets import Target, TargetName

How = Literal["counted", "standing", "spanning"]
"""By the instant that decides the window; by what stands now, however old; by the time inside the window."""
Side = Literal["numerator", "denominator", "shortfall"]
Sums = Mapping[tuple[str, Window], tuple[int, int]]
"""(family, window) → (weight, good)."""


@dataclass(frozen=True)
class Part:
    """One side of a rate: families of items and how they fall into a window."""

    families: tuple[str, ...]
    how: How = "counted"


@dataclass(frozen=True)
class Rate:
    """How a target rate is counted. `scale`: how many units of its sums make one of what is shown."""

    kpi: TargetName
    numerator: Part
    denominator: Part
    scale: int = 1


@dataclass(frozen=True)
class Figure:
    """A rate in a window, exactly, in units of the rate's scale."""

    rate: Rate
    target: Target
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
        bound = Fraction(self.target.target)
        return self.ratio >= bound if self.target.bound == "min" else self.ratio <= bound


def compute_figure(rate: Rate, target: Target, window: Window, sums: Sums) -> Figure:
    """`rate` from the sums of all families."""
    good = sum(sums.get((family, window), (0, 0))[1] for family in rate.numerator.families)
    weight = sum(sums.get((family, window), (0, 0))[0] for family in rate.denominator.families)
    return Figure(rate, target, good, weight)


def decimal_text(value: int, scale: int) -> str:
    """`value / scale` as a plain decimal string without trailing zeros; `scale` is a power of ten."""
    whole, rest = divmod(value, scale)
    digits = str(rest).rjust(len(str(scale)) - 1, "0").rstrip("0") if rest else ""
    return f"{whole}.{digits}" if digits else str(whole)


def _share(kpi: TargetName, *families: str, how: How = "counted", scale: int = 1) -> Rate:
    """What is good of a rate's own items."""
    part = Part(families, how)
    return Rate(kpi, part, part, scale)


def _per_unit(kpi: TargetName, family: str) -> Rate:
    """So many per occupied unit."""
    return Rate(kpi, Part((family,)), Part(("occupied_units",), "standing"))


RATES: tuple[Rate, ...] = (
    _share("customer_satisfaction", "answer_customer_service"),
    _per_unit("valid_complaint", "valid_complaint"),
    _share("fee_collection", "bill", scale=MONEY_SCALE),
    _share("follow_up", "follow_up_repair", "follow_up_other"),
    _per_unit("major_incident", "incident_major"),
    _per_unit("general_incident", "incident_general"),
    _share("security_satisfaction", "answer_security"),
    _share("repair_timeliness", "repair_decided"),
    _share("repair_pass", "repair_inspected"),
    _share("equipment_intact", "equipment", how="spanning", scale=SECOND),
    _share("repair_follow_up", "follow_up_repair"),
    _share("repair_satisfaction", "answer_maintenance"),
    _share("cleaning_pass", "inspected_cleaning"),
    _share("cleaning_satisfaction", "answer_cleaning"),
    _share("greening_survival", "plants", how="standing"),
    _share("greening_pass", "inspected_greening"),
    _share("greening_satisfaction", "answer_greening"),
)
"""In the order in which they are shown."""

RATE_BY_KPI: Mapping[str, Rate] = {rate.kpi: rate for rate in RATES}


def families_by(how: How) -> list[str]:
    """The families whose items fall into windows in that way."""
    parts = [part for rate in RATES for part in (rate.numerator, rate.denominator) if part.how == how]
    return sorted({family for part in parts for family in part.families})
