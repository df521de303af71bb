"""Durable timers: what is due is looked at in sets; in between it sleeps until the next, or until woken."""

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import delete, update

from services.dispatch import queries
from services.dispatch.domain.commands import CheckDeadlines
from services.dispatch.models import action_keys, timers
from services.dispatch.operations.case_commands import execute_commands
from services.dispatch.operations.demands import match_withdrawals
from shared.database.engine import is_transient

if TYPE_CHECKING:
    from services.dispatch.app import Dispatch

_log = structlog.stdlib.get_logger(__name__)
_SET = 300
_LONGEST_SLEEP = 1.0
"""Seconds: another copy may have set a timer without waking this one."""
_SHORTEST_SLEEP = 0.05
"""Seconds, while what is due is held by somebody else."""
_LATER = timedelta(minutes=1)
_CLEAN_SECONDS = 600
_KEEP_KEYS = timedelta(days=7)


class TimerWatch:
    """Looks at cases when something of them is due; `wake` it after a commit."""

    def __init__(self, service: "Dispatch") -> None:
        self._service = service
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Something was committed."""
        self._wake.set()

    async def run(self) -> None:
        """Look for ever."""
        pause = 0.1
        while True:
            self._wake.clear()
            try:
                await self._look_and_rest()
                pause = 0.1
            except Exception as error:
                _log.warning("timers wait", error=type(error).__name__, exc_info=not is_transient(error))
                await asyncio.sleep(pause)
                pause = min(2 * pause, 2.0)

    async def _look_and_rest(self) -> None:
        async with self._service.database.autocommit() as connection:
            due_at = await queries.next_due_at(connection)
        if due_at is None or due_at > self._service.clock.now() or await self.look() < _SET:
            await self._rest(due_at)

    async def look(self) -> int:
        """Look at a set of what is due now; how many cases that were."""
        service, now = self._service, self._service.clock.now()
        async with service.database.autocommit() as connection:
            ids = await queries.due_cases(connection, now, _SET)
        if not ids:
            return 0
        try:
            await self._apply(ids, now)
        except Exception as error:
            if is_transient(error) or len(ids) == 1:
                raise
            for case in ids:  # one that can't be looked at must not stand in the way of the others
                await self._alone(case, now)
        service.committed()
        return len(ids)

    async def _alone(self, case: str, now: datetime) -> None:
        try:
            await self._apply([case], now)
        except Exception as error:
            _log.error("a case could not be looked at", case=case, exc_info=error)
            async with self._service.database.transaction() as connection:
                later = update(timers).where(timers.c.case_id == case).values(due_at=now + _LATER)
                await connection.execute(later)

    async def _apply(self, ids: list[str], now: datetime) -> None:
        async with self._service.database.transaction() as connection:
            commands = [CheckDeadlines(case=case) for case in ids]
            await execute_commands(connection, self._service, commands, now, skip_locked=True)

    async def _rest(self, due_at: datetime | None) -> None:
        """Until the next timer is due by the service's clock, something is committed, or a second is over."""
        clock = self._service.clock
        seconds = _LONGEST_SLEEP
        if due_at is not None:
            left = (due_at - clock.now()).total_seconds()
            seconds = min(max(left, _SHORTEST_SLEEP), _LONGEST_SLEEP)
        waits = [asyncio.ensure_future(self._wake.wait()), asyncio.ensure_future(clock.sleep(seconds))]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()


async def match_withdrawals_forever(service: "Dispatch") -> None:
    """Withdraw, for ever, what was taken back before it came; and forget keys of actions after their time."""
    rounds = 0
    while True:
        await asyncio.sleep(2)
        rounds += 1
        try:
            async with service.database.transaction() as connection:
                matched = await match_withdrawals(connection, service, service.clock.now())
                if rounds % (_CLEAN_SECONDS // 2) == 0:
                    old = action_keys.c.recorded_at < service.clock.now() - _KEEP_KEYS
                    await connection.execute(delete(action_keys).where(old))
            if matched:
                service.committed()
        except Exception as error:
            _log.warning("withdrawals wait", error=type(error).__name__, exc_info=not is_transient(error))
