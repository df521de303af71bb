"""The command `guanjia docs`."""

from typing import Annotated

import typer

from guanjia.cli.terminal import console


def write_docs(
    check: Annotated[
        bool, typer.Option("--check", help="only say whether they are current | 仅检查")
    ] = False,
) -> None:
    """Write the generated documents anew. | 重新生成文档。"""
    from guanjia.docs import find_outdated, write_documents

    outdated = find_outdated()
    if not check:
        write_documents()
        console.print(f"written: {', '.join(outdated) or 'nothing new'}")
    elif outdated:
        console.print(f"not current, run `guanjia docs`: {', '.join(outdated)}")
        raise typer.Exit(1)
