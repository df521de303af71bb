"""The commands `guanjia kpi …`."""

import typer

from guanjia.cli.terminal import console, run
from shared.settings import Settings

app = typer.Typer(no_args_is_help=True, help="The target rates | 指标")


@app.command()
def rebuild() -> None:
    """Count every rate anew from the stored events. | 依据已存事件重新计算全部指标。"""
    from guanjia.cli.maintenance import rebuild_rates

    console.print(f"counted anew: {run(rebuild_rates(Settings()))} things")
