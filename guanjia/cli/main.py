"""The command line: serve, and what an operator needs beside it. Help texts are in English and Chinese."""

from collections.abc import Coroutine
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from guanjia.cli import import_command, report, simulate, workflow
from guanjia.cli.welcome import greet, sign_in_link
from shared.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Guanjia | 管家：物业服务承诺引擎", rich_markup_mode=None)
kpi = typer.Typer(no_args_is_help=True, help="The target rates | 指标")
dead_letters = typer.Typer(no_args_is_help=True, help="What could not be taken | 死信")
app.add_typer(kpi, name="kpi")
app.add_typer(dead_letters, name="dead-letters")
app.add_typer(workflow.app, name="workflow")
app.command("import")(import_command.import_)
app.command("simulate")(simulate.simulate)
app.command("report")(report.print_report)
_console = Console()
_errors = Console(stderr=True, highlight=False)


class Served(StrEnum):
    """What can be served."""

    all = "all"
    intake = "intake"
    dispatch = "dispatch"
    survey = "survey"
    kpi = "kpi"


class Owner(StrEnum):
    """A service with tables of its own."""

    intake = "intake"
    dispatch = "dispatch"
    survey = "survey"
    kpi = "kpi"


@app.command()
def serve(what: Annotated[Served, typer.Argument(help="which services | 启动哪些服务")] = Served.all) -> None:
    """Run services until Ctrl-C or SIGTERM. | 运行服务，按 Ctrl-C 结束。"""
    from guanjia.process import SERVICES, PortTaken
    from guanjia.process import serve as run
    from shared.properties.kind_files import WorkflowRefused
    from shared.properties.loader import PropertyInvalid

    names = list(SERVICES) if what is Served.all else [what.value]
    try:
        if what is Served.all:
            simulate.offer(Settings())
        _run(run(names, Settings(), greet))
    except (PortTaken, PropertyInvalid, WorkflowRefused) as refused:
        _errors.print(str(refused), soft_wrap=True)
        raise typer.Exit(1) from None


@app.command("sign-in")
def sign_in() -> None:
    """Print a link that signs an administrator in, good for 15 minutes. | 打印管理员登录链接。"""
    _console.print(sign_in_link(Settings()), soft_wrap=True)


@app.command()
def docs(
    check: Annotated[
        bool, typer.Option("--check", help="only say whether they are current | 仅检查")
    ] = False,
) -> None:
    """Write the generated documents anew. | 重新生成文档。"""
    from guanjia.docs import find_outdated, write_documents

    stale = find_outdated()
    if not check:
        write_documents()
        _console.print(f"written: {', '.join(stale) or 'nothing new'}")
    elif stale:
        _console.print(f"not current, run `guanjia docs`: {', '.join(stale)}")
        raise typer.Exit(1)


@kpi.command()
def rebuild() -> None:
    """Count every rate anew from the stored events. | 依据已存事件重新计算全部指标。"""
    from guanjia.cli.maintenance import rebuild_rates

    _console.print(f"counted anew: {_run(rebuild_rates(Settings()))} subjects")


@dead_letters.command("list")
def list_letters(
    service: Owner,
    queue: Annotated[str | None, typer.Option(help="only this queue | 仅此队列")] = None,
    reason: Annotated[str | None, typer.Option(help="only reasons holding this | 原因包含")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
) -> None:
    """Show dead letters with their reasons. | 列出死信及原因。"""
    from guanjia.cli.maintenance import list_dead_letters

    table = Table("id", "queue", "died at", "attempts", "reason")
    for letter in _run(list_dead_letters(Settings(), service.value, queue, reason, limit)):
        table.add_row(
            letter.id, letter.queue, letter.died_at.isoformat(), str(letter.attempts), letter.reason
        )
    _console.print(table)


@dead_letters.command()
def replay(
    service: Owner,
    queue: Annotated[str | None, typer.Option(help="only this queue | 仅此队列")] = None,
    reason: Annotated[str | None, typer.Option(help="only reasons holding this | 原因包含")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 1000,
) -> None:
    """Take dead letters once more; those that fail again come back with a new reason. | 重新处理死信。"""
    from guanjia.cli.maintenance import replay_dead_letters

    taken, back = _run(replay_dead_letters(Settings(), service.value, queue, reason, limit))
    _console.print(f"taken once more: {taken}, came back: {back}")


@app.command()
def properties(
    folder: Annotated[Path | None, typer.Argument(help="the folder to check | 要检查的文件夹")] = None,
) -> None:
    """Check the files of the properties. | 检查物业项目配置文件。"""
    from guanjia.properties import load_checked
    from shared.properties.loader import PropertyInvalid

    try:
        found = load_checked(folder or Settings().properties_dir)
    except PropertyInvalid as invalid:
        _console.print(str(invalid), soft_wrap=True)
        raise typer.Exit(1) from None
    for property_id, known in found.items():
        _console.print(f"{property_id}: {known.name}, {len(known.people)} people, {known.timezone}")


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    import uvloop

    return uvloop.run(work)
