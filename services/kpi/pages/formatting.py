"""Figures as people read them: percentages that never round up to a target, hours, thousands."""

from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

from services.kpi.domain.items import SECOND
from services.kpi.domain.rates import Figure, decimal_text
from shared.properties.targets import Target, TargetName

COUNTED: dict[TargetName, str] = {
    "valid_complaint": "complaints",
    "fee_collection": "money",
    "follow_up": "follow_ups",
    "repair_follow_up": "follow_ups",
    "major_incident": "incidents",
    "general_incident": "incidents",
    "repair_timeliness": "repairs",
    "repair_pass": "repairs",
    "equipment_intact": "hours",
    "cleaning_pass": "points",
    "greening_pass": "points",
    "greening_survival": "plants",
}
"""What a rate counts, where that is not answers: the page names its units by this."""
_STEP = Decimal("0.01")
_HOUR = 3600


def format_percent(ratio: Fraction | None, bound: str) -> str:
    """With two decimals at most, rounded away from the target: 99.999 % is not shown as 100 %."""
    if ratio is None:
        return "–"
    exact = Decimal(ratio.numerator * 100) / Decimal(ratio.denominator)
    rounded = exact.quantize(_STEP, ROUND_FLOOR if bound == "min" else ROUND_CEILING)
    return f"{_plain(rounded)} %"


def format_counts(figure: Figure) -> tuple[str, str]:
    """Numerator and denominator; time in hours."""
    return _count(figure.numerator, figure), _count(figure.denominator, figure)


def format_target(wanted: Target) -> str:
    """The target as it is compared with; all and none need no sign."""
    sign = "" if wanted.target in (0, 1) else "≥ " if wanted.bound == "min" else "≤ "
    return f"{sign}{_plain(wanted.target * 100)} %"


def format_share(part: int, whole: int) -> str:
    """What part of the whole, in whole percent."""
    return f"{100 * part / whole:.0f} %" if whole else "–"


def format_local_time(moment: datetime, zone: ZoneInfo) -> str:
    """A time as the property's clocks show it."""
    return moment.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")


def _count(value: int, figure: Figure) -> str:
    if figure.rate.scale == SECOND:
        return f"{(Decimal(value) / SECOND / _HOUR).quantize(_STEP):,}"
    return f"{Decimal(decimal_text(value, figure.rate.scale)):,}"


def _plain(value: Decimal) -> str:
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
