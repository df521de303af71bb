"""The commands `guanjia dead-letters …`."""

from enum import StrEnum
from typing import Annotated

import typer
from rich.table import Table

from guanjia.cli.terminal import console, run
from shared.settings import Settings

app = typer.Typer(no_args_is_help=True, help="What could not be taken | 死信")
Queue = Annotated[str | None, typer.Option(help="only this queue | 仅此队列")]
Reason = Annotated[str | None, typer.Option(help="only reasons holding this | 原因包含")]
Limit = Annotated[int, typer.Option(min=1, max=10_000)]


class Owner(StrEnum):
    """A service with tables of its own."""

    intake = "intake"
    dispatch = "dispatch"
    survey = "survey"
    kpi = "kpi"


@app.command("list")
def list_letters(service: Owner, queue: Queue = None, reason: Reason = None, limit: Limit = 50) -> None:
    """Show dead letters with their reasons. | 列出死信及原因。"""
    from guanjia.cli.maintenance import list_dead_letters

    table = Table("id", "queue", "died at", "attempts", "reason")
    for letter in run(list_dead_letters(Settings(), service.value, queue, reason, limit)):
        died_at = letter.died_at.isoformat()
        table.add_row(letter.id, letter.queue, died_at, str(letter.attempts), letter.reason)
    console.print(table)


@app.command("replay")
def replay_letters(service: Owner, queue: Queue = None, reason: Reason = None, limit: Limit = 1000) -> None:
    """Take dead letters once more; those that fail again come back with a new reason. | 重新处理死信。"""
    from guanjia.cli.maintenance import replay_dead_letters

    replayed, returned = run(replay_dead_letters(Settings(), service.value, queue, reason, limit))
    console.print(f"taken once more: {replayed}, came back: {returned}")
