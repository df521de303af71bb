"""The command `guanjia run_simulation`, and the offer to do it at the very first start."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.prompt import Confirm
from rich.table import Table

from guanjia.cli.terminal import console, fail, run
from shared.settings import Settings

if TYPE_CHECKING:
    from guanjia.simulation.simulation import SimulationProgress
    from guanjia.simulation.span import Rates


def simulate(
    seed: Annotated[int, typer.Option(help="the same seed, the same month | 相同种子，相同结果")] = 1,
    days: Annotated[int, typer.Option(min=1, max=366, help="how many days | 天数")] = 30,
    until: Annotated[
        datetime | None, typer.Option(help="where it ends, UTC; now unless told | 结束时间（UTC），默认现在")
    ] = None,
    remove: Annotated[
        bool, typer.Option("--remove", help="remove what was simulated | 删除模拟数据")
    ] = False,
) -> None:
    """Live a month of an invented tower, a property of its own. | 模拟一个月的大厦生活，自成一个项目。

    Nothing of your own data is touched; `--remove` takes it all away again.
    """
    from guanjia.simulation.run import SimulationRefused, current_minute, remove_simulation
    from guanjia.simulation.simulated_property import PROPERTY
    from shared.properties.loader import PropertyInvalid

    try:
        if remove:
            count = run(remove_simulation(Settings()))
            console.print(f"已删除 {count} 行模拟数据。 Removed {count} rows of {PROPERTY}.")
        else:
            _print_rates(_simulate_with_progress(seed, days, current_minute(until)))
    except (SimulationRefused, PropertyInvalid) as refusal:
        fail(refusal)


def offer_simulation(settings: Settings) -> None:
    """At the very first start ask a person at a terminal whether to begin with a simulated month."""
    first = not settings.database_url and not (settings.data_dir / "intake.db").exists()
    if not first or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return
    from guanjia.simulation.run import SimulationRefused, current_minute

    question = (
        "先模拟一个月的数据看看吗？约一分钟，随时可删除。 Begin with a simulated month (about a minute)?"
    )
    if Confirm.ask(question, default=True):
        try:
            _simulate_with_progress(1, 30, current_minute())
        except SimulationRefused as refusal:
            console.print(str(refusal), soft_wrap=True)


def _simulate_with_progress(seed: int, days: int, until: datetime) -> "Rates":
    """Simulate with the progress shown; the rates at the end."""
    from guanjia.simulation.run import check_simulation_allowed, run_simulation
    from shared.telemetry import configure_logging

    configure_logging("ERROR")
    gc.set_threshold(50_000, 20, 50)  # many small objects live for long: the default looks at them too often
    run(check_simulation_allowed(Settings()))
    with _progress(days, until) as report:
        return run(run_simulation(Settings(), seed, days, until, report))


@contextmanager
def _progress(days: int, until: datetime) -> Iterator["_ProgressReport"]:
    columns = ("{task.description}", "{task.fields[events]} 事件 events, {task.fields[cases]} 工单 cases")
    texts = [TextColumn(column) for column in columns]
    with Progress(texts[0], BarColumn(), texts[1], TimeElapsedColumn(), console=console) as progress:
        yield _ProgressReport(progress, days, until)


class _ProgressReport:
    """Shows how far it is."""

    def __init__(self, progress: Progress, days: int, until: datetime) -> None:
        self._progress, self._start = progress, until - timedelta(days=days)
        self._task = progress.add_task("模拟 simulating", total=days, events=0, cases=0)

    def __call__(self, progress: "SimulationProgress") -> None:
        days = (progress.now - self._start) / timedelta(days=1)
        events, cases = progress.counts.get("events", 0), progress.counts.get("cases", 0)
        day = f"{progress.now:%m-%d}"
        self._progress.update(self._task, completed=days, description=day, events=events, cases=cases)


def _print_rates(rates: "Rates") -> None:
    """The rates of the last thirty days, and how to go on."""
    from guanjia.simulation.simulated_property import PROPERTY
    from services.kpi.domain.rates import RATES

    table = Table("指标 rate", "分子 numerator", "分母 denominator", "", title="最近 30 天 the last 30 days")
    for kpi, numerator, denominator in rates["rolling_30d"]:
        share = f"{100 * float(numerator) / float(denominator):.2f} %" if float(denominator) else "–"
        table.add_row(" ".join(RATES[kpi].name), numerator, denominator, share)
    console.print(table)
    console.print(f"模拟项目 simulated property: {PROPERTY}；guanjia simulate --remove 可删除 removes it")
