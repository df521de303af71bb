"""The 17 target rates as one table, and how sums over items become a rate that meets its target or does not.

Counts are compared as exact fractions: 100 % means exactly all. Without a denominator there is no sample."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from services.kpi.items import MONEY_SCALE, SECOND
from services.kpi.windows import Window

How = Literal["counted", "standing", "spanning"]
"""By the instant that decides the window; by what stands now, however old; by the time inside the window."""
Bound = Literal["min", "max"]
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
    """A target rate. `scale`: how many units of its sums make one of what is shown (money, seconds)."""

    kpi: str
    zh: str
    en: str
    area: str
    bound: Bound
    target: Decimal
    numerator: Part
    denominator: Part
    scale: int = 1


@dataclass(frozen=True)
class Figure:
    """A rate in a window, exactly, in units of the rate's scale."""

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


def figure(rate: Rate, target: Decimal, window: Window, sums: Sums) -> Figure:
    """`rate` from the sums of all families."""
    good = sum(sums.get((family, window), (0, 0))[1] for family in rate.numerator.families)
    weight = sum(sums.get((family, window), (0, 0))[0] for family in rate.denominator.families)
    return Figure(rate, target, good, weight)


def decimal_text(value: int, scale: int) -> str:
    """`value / scale` as a plain decimal string without trailing zeros; `scale` is a power of ten."""
    whole, rest = divmod(value, scale)
    digits = str(rest).rjust(len(str(scale)) - 1, "0").rstrip("0") if rest else ""
    return f"{whole}.{digits}" if digits else str(whole)


def _share(
    kpi: str, zh: str, en: str, area: str, target: str, *families: str, how: How = "counted", scale: int = 1
) -> Rate:
    """A share of its own items that is to be at least `target`."""
    part = Part(families, how)
    return Rate(kpi, zh, en, area, "min", Decimal(target), part, part, scale)


def _per_unit(kpi: str, zh: str, en: str, area: str, target: str, family: str) -> Rate:
    """So many per occupied unit, at most `target`."""
    units = Part(("occupied_units",), "standing")
    return Rate(kpi, zh, en, area, "max", Decimal(target), Part((family,)), units)


# fmt: off
RATES: tuple[Rate, ...] = (
    _share("customer_satisfaction", "客户服务满意率", "Customer service satisfaction",
           "customer_service", "0.99", "answer_customer_service"),
    _per_unit("valid_complaint", "有效投诉率", "Valid complaints",
              "customer_service", "0.01", "valid_complaint"),
    _share("fee_collection", "物业管理费收缴率", "Fee collection",
           "customer_service", "0.98", "bill", scale=MONEY_SCALE),
    _share("follow_up", "回访率", "Follow-ups done",
           "customer_service", "1", "follow_up_repair", "follow_up_other"),
    _per_unit("major_incident", "重大管理责任事故发生率", "Major incidents",
              "security", "0", "incident_major"),
    _per_unit("general_incident", "一般管理责任事故发生率", "General incidents",
              "security", "0.001", "incident_general"),
    _share("security_satisfaction", "安保服务满意率", "Security satisfaction",
           "security", "0.99", "answer_security"),
    _share("repair_timeliness", "维修及时率", "Repairs in time",
           "maintenance", "1", "repair_decided"),
    _share("repair_pass", "维修合格率", "Repairs passed",
           "maintenance", "1", "repair_inspected"),
    _share("equipment_intact", "设备完好率", "Equipment intact",
           "maintenance", "1", "equipment", how="spanning", scale=SECOND),
    _share("repair_follow_up", "维修回访率", "Repair follow-ups done",
           "maintenance", "1", "follow_up_repair"),
    _share("repair_satisfaction", "维修服务满意率", "Repair satisfaction",
           "maintenance", "0.99", "answer_maintenance"),
    _share("cleaning_pass", "保洁合格率", "Cleaning passed",
           "cleaning", "1", "inspected_cleaning"),
    _share("cleaning_satisfaction", "保洁服务满意率", "Cleaning satisfaction",
           "cleaning", "0.99", "answer_cleaning"),
    _share("greening_survival", "绿化成活率", "Greening survival",
           "greening", "1", "plants", how="standing"),
    _share("greening_pass", "绿化养护合格率", "Greening passed",
           "greening", "1", "inspected_greening"),
    _share("greening_satisfaction", "绿化养护满意率", "Greening satisfaction",
           "greening", "0.99", "answer_greening"),
)
# fmt: on
"""In the order in which they are shown."""

RATE_BY_KPI: Mapping[str, Rate] = {rate.kpi: rate for rate in RATES}

LINES = ("customer_service", "security", "maintenance", "cleaning", "greening")
REASONS: Mapping[str, Decimal | None] = {
    "service": Decimal("0.68"),
    "product": Decimal("0.14"),
    "price": Decimal("0.09"),
    "other": Decimal("0.09"),
    "unstated": None,
}
"""Why the dissatisfied leave, and the share of each that is known from the trade."""


@dataclass(frozen=True)
class Mood:
    """What those who answered will tell others: one satisfied brings 3, one dissatisfied drives off 30."""

    satisfied: int
    dissatisfied: int
    reasons: Mapping[str, int]

    @property
    def index(self) -> int:
        """The word-of-mouth index."""
        return 3 * self.satisfied - 30 * self.dissatisfied


def mood(window: Window, sums: Sums) -> Mood:
    """The word of mouth in a window, over all five lines."""
    reasons = {reason: sums.get((f"dissatisfied_{reason}", window), (0, 0))[0] for reason in REASONS}
    satisfied = sum(sums.get((f"answer_{line}", window), (0, 0))[1] for line in LINES)
    return Mood(satisfied, sum(reasons.values()), reasons)


def families_by(how: How) -> list[str]:
    """The families whose items fall into windows in that way."""
    parts = [part for rate in RATES for part in (rate.numerator, rate.denominator) if part.how == how]
    told = {family for part in parts for family in part.families}
    return sorted(told | ({f"dissatisfied_{reason}" for reason in REASONS} if how == "counted" else set()))
