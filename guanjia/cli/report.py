"""The command `guanjia report`: the rates of a month or a year against their targets, as a table."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import typer
from rich.console import Console
from rich.table import Table

from shared.settings import Settings

if TYPE_CHECKING:
    from services.kpi.domain.reports import Period, RateRow
    from shared.host import Host
    from shared.properties.property import Property

COLUMNS = ("rate", "side_numerator", "side_denominator", "actual", "target", "state")
"""The columns' headings, as keys of the texts of the rates' page."""


class Report(NamedTuple):
    """The rates of a period of a property, as of an instant."""

    property: "Property"
    period: "Period"
    as_of: datetime
    rows: "list[RateRow]"


def print_report(
    period: Annotated[
        str | None, typer.Argument(help="2026-10 or 2026; this month unless named | 月份或年份，默认本月")
    ] = None,
    property_id: Annotated[str, typer.Option("--property", help="the property's id | 物业项目编号")] = "",
    language: Annotated[Literal["zh", "en"], typer.Option(help="zh or en | 语言")] = "zh",
) -> None:
    """Print the rates of a month or a year as of its last instant, or as of now while it runs.

    打印某月或某年的指标；期间未结束时截至当前。
    """
    import uvloop

    from shared.properties.loader import PropertyInvalid

    try:
        _show(uvloop.run(_read_report(period, property_id, language)), language)
    except (ValueError, PropertyInvalid) as refused:
        Console(stderr=True, highlight=False).print(str(refused), soft_wrap=True)
        raise typer.Exit(1) from None


async def _read_report(period: str | None, property_id: str, language: str) -> Report:
    from guanjia.cli.maintenance import open_service

    async with open_service(Settings(), "kpi") as service:
        return await load_report(service, period, property_id, language)


async def load_report(service: "Host", text: str | None, property_id: str, language: str) -> Report:
    """The rates of the period `text`, else of the running month. Raises ValueError naming what is wrong."""
    from services.kpi.domain.reports import instant_of, make_report, month_of, parse_period
    from services.kpi.queries.scorecards import load_scorecard

    prop = service.properties.get(property_id)
    if prop is None:
        names = ", ".join(service.properties)
        raise ValueError(f"物业项目不存在，现有：{names}。 There is no such property; there are: {names}.")
    now = service.clock.now()
    period = parse_period(text) if text else month_of(now, prop.timezone)
    as_of = instant_of(period, now, prop.timezone)
    async with service.database.snapshot() as connection:
        scorecard = await load_scorecard(connection, prop, as_of)
    return Report(prop, period, as_of, make_report(scorecard.figures[period.window], language))


def _show(report: Report, language: str) -> None:
    from services.kpi.domain.formatting import format_local_time
    from shared.pages.texts import load_texts
    from shared.settings import PROJECT

    texts = load_texts(PROJECT / "services" / "kpi" / "pages" / "texts.toml")
    name = (report.property.name_en if language == "en" else "") or report.property.name
    as_of = texts["as_of"][language].format(at=format_local_time(report.as_of, report.property.timezone))
    table = Table(title=f"{name} · {report.period} · {as_of}")
    for key in COLUMNS:
        table.add_column(texts[key][language], justify="left" if key in ("rate", "state") else "right")
    for row in report.rows:
        state = texts[row.standing][language]
        table.add_row(row.name, row.numerator, row.denominator, row.percent, row.target, state)
    Console(highlight=False).print(table)
