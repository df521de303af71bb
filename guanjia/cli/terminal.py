"""What the commands share: where they print, and how they run what is asynchronous."""

from collections.abc import Coroutine
from typing import NoReturn, TypeVar

import typer
from rich.console import Console

T = TypeVar("T")
console = Console(highlight=False)


def fail(reason: Exception) -> NoReturn:
    """Print why to standard error, and end with 1."""
    Console(stderr=True, highlight=False).print(str(reason), soft_wrap=True, markup=False)
    raise typer.Exit(1) from None


def run(work: Coroutine[None, None, T]) -> T:
    """Run it on an event loop of its own."""
    import uvloop  # not at the top: `--help` has no use for it

    return uvloop.run(work)
