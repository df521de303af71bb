"""What a target rate is made of: names and definition in both languages, unit, target, and its two sides."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, NamedTuple

from services.kpi.domain.items import MONEY_SCALE, SECOND

Bound = Literal["min", "max"]
How = Literal["counted", "standing", "spanning"]
"""By the instant that decides the window; by what stands now, however old; by the time inside the window."""
Side = Literal["numerator", "denominator", "shortfall"]
Area = Literal["customer_service", "security", "maintenance", "cleaning", "greening"]


class BilingualText(NamedTuple):
    """A text for people, in Chinese and in English."""

    zh: str
    en: str

    def localize(self, language: str) -> str:
        """The text for a reader of `language`, `zh` or `en`."""
        return self.zh if language == "zh" else self.en


AREAS: Mapping[Area, BilingualText] = {
    "customer_service": BilingualText("客户服务", "Customer service"),
    "security": BilingualText("安全管理", "Security"),
    "maintenance": BilingualText("工程维修", "Maintenance"),
    "cleaning": BilingualText("保洁", "Cleaning"),
    "greening": BilingualText("绿化", "Greening"),
}
"""In the order in which people see them."""


@dataclass(frozen=True)
class Unit:
    """What a rate counts, as people read it.

    `scale` of what items hold make one of what programs read, `reading_scale` of these one of what people
    read."""

    counts: BilingualText
    scale: int = 1
    reading_scale: int = 1


@dataclass(frozen=True)
class Part:
    """One side of a rate: families of items and how they fall into a window."""

    families: tuple[str, ...]
    how: How = "counted"


@dataclass(frozen=True, kw_only=True)
class Rate:
    """A target rate: at least (`min`) or at most (`max`) `target`, 1 being all; a property may have its own.

    The numerator is the sum of its items' numerators, the denominator that of its items' denominators."""

    kpi: str
    name: BilingualText
    definition: BilingualText
    area: Area
    unit: Unit
    bound: Bound
    target: Decimal
    numerator: Part
    denominator: Part

    @property
    def is_share(self) -> bool:
        """Whether both sides are sums over the same items: so many of them, of all of them."""
        return self.numerator == self.denominator


ANSWERS = Unit(BilingualText("{numerator} / {denominator} 份评价", "{numerator} / {denominator} answers"))
COMPLAINTS = Unit(BilingualText("{numerator} 件 / {denominator} 户", "{numerator} / {denominator} units"))
INCIDENTS = Unit(BilingualText("{numerator} 起 / {denominator} 户", "{numerator} / {denominator} units"))
MONEY = Unit(
    BilingualText("已缴 {numerator} / 应缴 {denominator}", "{numerator} paid / {denominator} billed"),
    scale=MONEY_SCALE,
)
FOLLOW_UPS = Unit(
    BilingualText("{numerator} / {denominator} 次回访", "{numerator} / {denominator} follow-ups")
)
REPAIRS = Unit(BilingualText("{numerator} / {denominator} 件维修", "{numerator} / {denominator} repairs"))
REWORKS = Unit(
    BilingualText("{numerator} 件返修 / {denominator} 件维修", "{numerator} reworks / {denominator} repairs")
)
HOURS = Unit(
    BilingualText("{numerator} / {denominator} 小时", "{numerator} / {denominator} hours"),
    scale=SECOND,
    reading_scale=3600,
)
POINTS = Unit(BilingualText("{numerator} / {denominator} 个检查点", "{numerator} / {denominator} points"))
PLANTS = Unit(BilingualText("{numerator} / {denominator} 株", "{numerator} / {denominator} plants"))
