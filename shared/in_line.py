"""SQLite without a thread between: for a process that does one thing at a time and nothing beside."""

from collections.abc import Callable
from pathlib import Path
from sqlite3 import connect
from typing import Any

import aiosqlite


class InLineConnection(aiosqlite.Connection):
    """Runs every statement on the caller's thread, which waits for it: no hand-over, no other order."""

    async def _execute(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return fn(*args, **kwargs)


def in_line(path: str | Path, **options: Any) -> InLineConnection:
    """A connection to `path`, to be awaited; it is opened by a thread of its own and used by this one."""
    return InLineConnection(lambda: connect(path, **(options | {"check_same_thread": False})), 64)
