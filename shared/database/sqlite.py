"""SQLite on the caller's thread: a hand-over to another thread costs more than most statements do.

Only a commit of what was written, which waits for the disk, goes to the connection's own thread. While
another process writes, the write lock is asked for again and again, and other tasks go on. `single_task`
keeps commits on the caller's thread too, for a process that does one thing at a time.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from sqlite3 import SQLITE_BUSY, OperationalError, connect
from typing import Any, ParamSpec, TypeVar

import aiosqlite

BEGIN_WRITING = "BEGIN IMMEDIATE"
LOCK_SECONDS = 10
_PAUSES = (0.001, 0.002, 0.005, 0.01, 0.02)
_PRIMARY_CODE = 0xFF  # the other bits of an error code are details
P = ParamSpec("P")
R = TypeVar("R")


class CallerThreadConnection(aiosqlite.Connection):
    """Runs statements where they are awaited; only a commit that waits for the disk is handed over."""

    writes = False
    single_task = False
    _commit: asyncio.Task[Any] | None = None

    async def _execute(self, fn: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        if self._commit is not None:  # its caller was cancelled, and the thread still uses the connection
            await asyncio.wait([self._commit])
        if args[:1] == (BEGIN_WRITING,):
            return await _begin_when_unlocked(partial(fn, *args, **kwargs))
        if self.writes and not self.single_task and getattr(fn, "__name__", "") == "commit":
            return await self._commit_on_thread(partial(fn, *args, **kwargs))
        return fn(*args, **kwargs)

    async def _commit_on_thread(self, commit: Callable[[], R]) -> R:
        """`commit`, which goes on where the caller is cancelled; nothing else is executed before it ends."""
        execute_on_thread: Callable[[Callable[[], R]], Coroutine[Any, Any, R]] = super()._execute
        self._commit = task = asyncio.create_task(execute_on_thread(commit))
        task.add_done_callback(self._forget_commit)
        return await asyncio.shield(task)

    def _forget_commit(self, task: asyncio.Task[Any]) -> None:
        self._commit = None
        if not task.cancelled():
            task.exception()  # raised in the caller already, unless that was cancelled


async def _begin_when_unlocked(begin: Callable[[], R]) -> R:
    """`begin` once no other process writes. Raises its error where another goes on writing."""
    until, tries = time.monotonic() + LOCK_SECONDS, 0
    while True:
        try:
            return begin()
        except OperationalError as error:
            if error.sqlite_errorcode & _PRIMARY_CODE != SQLITE_BUSY or time.monotonic() > until:
                raise
        await asyncio.sleep(_PAUSES[min(tries, len(_PAUSES) - 1)])
        tries += 1


def connect_on_caller_thread(
    path: str | Path, *, writes: bool = False, single_task: bool = False, **options: Any
) -> CallerThreadConnection:
    """A connection to `path`, to be awaited; it is opened by its own thread and used by this one."""
    connection = CallerThreadConnection(
        partial(connect, path, **(options | {"check_same_thread": False})), 64
    )
    connection.writes, connection.single_task = writes, single_task
    return connection
