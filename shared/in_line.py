"""SQLite on the caller's thread: a hand-over to another thread costs more than most statements do.

What may wait for the disk or for another process, the begin and the commit of what writes, goes to the
connection's own thread. `alone` keeps that here too, for a process that does one thing at a time.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from sqlite3 import connect
from typing import Any

import aiosqlite

WRITING = "BEGIN IMMEDIATE"


class InLineConnection(aiosqlite.Connection):
    """Runs statements where they are awaited; only what may wait long is handed over."""

    alone = False

    async def _execute(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        waits = args[:1] == (WRITING,) or getattr(fn, "__name__", "") == "commit"
        if waits and not self.alone:
            return await super()._execute(fn, *args, **kwargs)  # type: ignore[no-untyped-call]
        return fn(*args, **kwargs)


def in_line(path: str | Path, *, alone: bool = False, **options: Any) -> InLineConnection:
    """A connection to `path`, to be awaited; it is opened by its own thread and used by this one."""
    connection = InLineConnection(partial(connect, path, **(options | {"check_same_thread": False})), 64)
    connection.alone = alone
    return connection
