"""The rates of a month or a year as a report: what a page, a terminal or a printed sheet shows of them."""

import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from msgspec import Struct

from services.kpi.domain.figures import Figure
from services.kpi.domain.formatting import format_count, format_percent, format_target
from services.kpi.domain.rate import Area, Bound
from services.kpi.domain.windows import Window, local_midnight

Standing = Literal["met", "missed", "no_sample"]


class RateRow(Struct, frozen=True, kw_only=True):
    """A rate in a window, in words; `counts` are numerator and denominator in their unit."""

    kpi: str
    name: str
    area: Area
    bound: Bound
    numerator: str
    denominator: str
    counts: str
    percent: str
    target: str
    standing: Standing


class Period(Struct, frozen=True):
    """A calendar month, or a calendar year where there is no month."""

    year: int
    month: int | None = None

    @property
    def window(self) -> Window:
        """The window of the rates that shows this period, as of an instant in it."""
        return "year" if self.month is None else "month"

    def __str__(self) -> str:
        return f"{self.year:04}" if self.month is None else f"{self.year:04}-{self.month:02}"


def parse_period(text: str) -> Period:
    """A month such as `2026-10` or a year such as `2026`. Raises ValueError for anything else."""
    match = re.fullmatch(r"(20[0-9]{2})(?:-(0[1-9]|1[0-2]))?", text)
    if match is None:
        raise ValueError(
            "期间应为月份或年份，如 2026-10 或 2026。 A period is a month or a year, such as 2026-10 or 2026."
        )
    return Period(int(match[1]), int(match[2]) if match[2] else None)


def month_of(now: datetime, zone: ZoneInfo) -> Period:
    """The month that is running at the property."""
    today = now.astimezone(zone).date()
    return Period(today.year, today.month)


def instant_of(period: Period, now: datetime, zone: ZoneInfo) -> datetime:
    """The period's last instant, or now while it runs. Raises ValueError where it has not begun."""
    first = date(period.year, period.month or 1, 1)
    following = first.replace(year=first.year + 1) if period.month is None else _next_month(first)
    if now < local_midnight(first, zone):
        raise ValueError("该期间尚未开始。 That period has not begun.")
    return min(now, local_midnight(following, zone) - timedelta(microseconds=1))


def make_report(figures: Sequence[Figure], language: str) -> list[RateRow]:
    """A row for every figure, in their order, in `language`, `zh` or `en`."""
    return [make_row(figure, language) for figure in figures]


def make_row(figure: Figure, language: str) -> RateRow:
    """One figure for a reader of `language`."""
    rate = figure.rate
    numerator, denominator = (
        format_count(side, rate.unit) for side in (figure.numerator, figure.denominator)
    )
    return RateRow(
        kpi=rate.kpi,
        name=rate.name.localize(language),
        area=rate.area,
        bound=rate.bound,
        numerator=numerator,
        denominator=denominator,
        counts=rate.unit.counts.localize(language).format(numerator=numerator, denominator=denominator),
        percent=format_percent(figure.ratio, rate.bound),
        target=format_target(figure.target, rate.bound),
        standing="no_sample" if figure.met is None else "met" if figure.met else "missed",
    )


def _next_month(first: date) -> date:
    return (first + timedelta(days=31)).replace(day=1)
