"""Figures as people read them: percentages that never round up to a target, hours, thousands."""

from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

from services.kpi.domain.figures import decimal_text
from services.kpi.domain.rate import Bound, Unit

_STEP = Decimal("0.01")


def format_percent(ratio: Fraction | None, bound: Bound) -> str:
    """With two decimals at most, rounded away from the target: 99.999 % is not shown as 100 %."""
    if ratio is None:
        return "–"
    exact = Decimal(ratio.numerator * 100) / Decimal(ratio.denominator)
    rounded = exact.quantize(_STEP, ROUND_FLOOR if bound == "min" else ROUND_CEILING)
    return f"{_plain(rounded)} %"


def format_count(value: int, unit: Unit) -> str:
    """One side of a figure; what people read in a unit of its own has two decimals."""
    exact = Decimal(decimal_text(value, unit.scale))
    return f"{exact if unit.reading_scale == 1 else (exact / unit.reading_scale).quantize(_STEP):,}"


def format_target(target: Decimal, bound: Bound) -> str:
    """The target as it is compared with; all and none need no sign."""
    sign = "" if target in (0, 1) else "≥ " if bound == "min" else "≤ "
    return f"{sign}{_plain(target * 100)} %"


def format_share(part: int, total: int) -> str:
    """What part of the total, in whole percent."""
    return f"{100 * part / total:.0f} %" if total else "–"


def format_local_time(moment: datetime, zone: ZoneInfo) -> str:
    """A time as the property's clocks show it."""
    return moment.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")


def _plain(value: Decimal) -> str:
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
