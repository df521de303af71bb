"""SQLite on the caller's thread: a hand-over to another thread costs more than most statements do.

Only a commit of what was written, which waits for the disk, goes to the connection's own thread. Whose turn
it is to write is asked for again and again, without holding anybody up. `alone` keeps commits here too, for
a process that does one thing at a time.
"""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from sqlite3 import SQLITE_BUSY, OperationalError, connect
from typing import Any

import aiosqlite

WRITING = "BEGIN IMMEDIATE"
TURN_SECONDS = 10
_PAUSES = (0.001, 0.002, 0.005, 0.01, 0.02)
_ERROR = 0xFF  # the rest of a code says more of why


class CallerThreadConnection(aiosqlite.Connection):
    """Runs statements where they are awaited; only what waits long is handed over."""

    writes = False
    alone = False

    async def _execute(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if args[:1] == (WRITING,):
            return await _begin_in_turn(partial(fn, *args, **kwargs))
        if self.writes and not self.alone and getattr(fn, "__name__", "") == "commit":
            return await super()._execute(fn, *args, **kwargs)  # type: ignore[no-untyped-call]
        return fn(*args, **kwargs)


async def _begin_in_turn(begin: Callable[[], Any]) -> Any:
    """`begin` once no other process writes. Raises its error where that does not end."""
    until, tries = time.monotonic() + TURN_SECONDS, 0
    while True:
        try:
            return begin()
        except OperationalError as error:
            if error.sqlite_errorcode & _ERROR != SQLITE_BUSY or time.monotonic() > until:
                raise
        await asyncio.sleep(_PAUSES[min(tries, len(_PAUSES) - 1)])
        tries += 1


def connect_on_caller_thread(
    path: str | Path, *, writes: bool = False, alone: bool = False, **options: Any
) -> CallerThreadConnection:
    """A connection to `path`, to be awaited; it is opened by its own thread and used by this one."""
    connection = CallerThreadConnection(
        partial(connect, path, **(options | {"check_same_thread": False})), 64
    )
    connection.writes, connection.alone = writes, alone
    return connection
