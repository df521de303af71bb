"""`guanjia workflow`: what an operator does with workflow files."""

import typer

from guanjia.cli.terminal import console
from shared.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Workflow files | 工作流文件")


@app.command()
def check() -> None:
    """Check every workflow file, the installation's own too. | 检查全部工作流文件，包括物业目录下的。"""
    from services.dispatch.domain.workflow.loader import read_workflow_files
    from shared.properties.kind_files import list_workflow_files

    workflows, mistakes = read_workflow_files(list_workflow_files(Settings().workflow_folders))
    wrong = {refused.file for refused in mistakes}
    for file, flow in workflows.items():
        if file not in wrong:
            console.print(
                f"ok  {file}: {flow.name} {flow.version}: {', '.join(flow.kinds)}",
                markup=False,
                soft_wrap=True,
            )
    for refused in mistakes:
        console.print(str(refused), markup=False, soft_wrap=True)
    if mistakes:
        raise typer.Exit(1)
