"""The command `guanjia import`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from guanjia.cli.terminal import fail, run

if TYPE_CHECKING:
    from guanjia.importer.log_import import ImportCounts


def import_event_log(
    data: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV file | CSV 文件")],
    mapping: Annotated[
        Path, typer.Option(exists=True, dir_okay=False, help="what its columns mean (TOML) | 列的含义")
    ],
    key: Annotated[str, typer.Option(envvar=["GUANJIA_KEY", "GUANJIA_BOOTSTRAP_KEY"], help="API key | 密钥")],
    url: Annotated[str, typer.Option(help="where guanjia serves | 服务地址")] = "http://127.0.0.1:8000",
    dispatch_url: Annotated[
        str, typer.Option(help="where dispatch serves, if elsewhere | 派工服务地址（若不同）")
    ] = "",
    out: Annotated[
        Path | None, typer.Option(help="folder of journal and bad rows | 进度与坏行所在文件夹")
    ] = None,
    at_once: Annotated[int, typer.Option(min=1, max=64, help="cases side by side | 并行工单数")] = 16,
) -> None:
    """Take in another system's cases from a CSV event log; after a kill, run the same again.

    从 CSV 事件日志导入其他系统的工单；中断后重新运行同一命令即可继续，不会重复。
    """
    # Here, because a start of the services has no use for its HTTP client.
    from guanjia.importer.client import ImportStopped
    from guanjia.importer.log_import import BAD_ROWS, import_log
    from guanjia.importer.mapping import MappingUnusable

    folder = out or Path(f"import-{data.stem}")
    try:
        with _progress() as progress:
            task = progress.add_task("", total=None, actions=0, bad=0)

            def show(counts: "ImportCounts") -> None:
                completed = counts.done + counts.skipped
                progress.update(
                    task, total=counts.cases, completed=completed, actions=counts.actions, bad=counts.bad
                )

            counts = run(
                import_log(
                    mapping,
                    data,
                    url=url,
                    key=key,
                    out=folder,
                    report=show,
                    dispatch_url=dispatch_url,
                    at_once=at_once,
                )
            )
    except (MappingUnusable, ImportStopped) as failure:
        fail(failure)
    except ExceptionGroup as failures:
        fail(failures.exceptions[0])
    typer.echo(_summarize(counts, folder / BAD_ROWS))


def _progress() -> Progress:
    return Progress(
        TextColumn("cases 工单"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("actions 动作 {task.fields[actions]}  bad rows 坏行 {task.fields[bad]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )


def _summarize(counts: "ImportCounts", bad_rows: Path) -> str:
    return (
        f"rows 行 {counts.rows}  cases 工单 {counts.cases}  taken in 导入 {counts.done}  "
        f"earlier 先前已导入 {counts.skipped}  actions 动作 {counts.actions}  "
        f"bad rows 坏行 {counts.bad} ({bad_rows})"
    )
