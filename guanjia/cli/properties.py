"""The command `guanjia properties`."""

from pathlib import Path
from typing import Annotated

import typer

from guanjia.cli.terminal import console
from shared.settings import Settings


def check_properties(
    folder: Annotated[Path | None, typer.Argument(help="the folder to check | 要检查的文件夹")] = None,
) -> None:
    """Check the files of the properties. | 检查物业项目配置文件。"""
    from guanjia.properties import load_checked
    from shared.properties.loader import PropertyInvalid

    try:
        properties = load_checked(folder or Settings().properties_dir)
    except PropertyInvalid as invalid:
        console.print(str(invalid), soft_wrap=True, markup=False)
        raise typer.Exit(1) from None
    for property_id, prop in properties.items():
        console.print(f"{property_id}: {prop.name}, {len(prop.people)} people, {prop.timezone}")
