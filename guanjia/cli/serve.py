"""The command `guanjia serve`."""

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated

import typer

from guanjia.cli.terminal import fail, run
from guanjia.cli.welcome import greet
from shared.settings import Settings


class Selection(StrEnum):
    """What can be served: all services, or one of them."""

    all = "all"
    intake = "intake"
    dispatch = "dispatch"
    survey = "survey"
    kpi = "kpi"


def make_command(before_start: Callable[[Settings], None]) -> Callable[[Selection], None]:
    """The command; `before_start` is called before all services start together, be it for the first time."""

    def serve(
        what: Annotated[Selection, typer.Argument(help="which services | 启动哪些服务")] = Selection.all,
    ) -> None:
        """Run services until Ctrl-C or SIGTERM. | 运行服务，按 Ctrl-C 结束。"""
        from guanjia import http_server
        from guanjia.process import SERVICES
        from shared.properties.kind_files import WorkflowRefused
        from shared.properties.loader import PropertyInvalid

        names = list(SERVICES) if what is Selection.all else [what.value]
        try:
            if what is Selection.all:
                before_start(Settings())
            run(http_server.serve(names, Settings(), greet))
        except (http_server.PortTaken, PropertyInvalid, WorkflowRefused) as refusal:
            fail(refusal)

    return serve
