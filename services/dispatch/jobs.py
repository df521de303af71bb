"""What dispatch does by itself: durable timers, withdrawals that came before their demand.

Cases that are due are checked in batches; in between the watch sleeps until the next timer, or until woken.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from services.dispatch.domain.commands import CheckDeadlines
from services.dispatch.operations.case_commands import CommandHost, execute_commands
from services.dispatch.operations.demands import match_withdrawals
from services.dispatch.operations.timers import postpone_check
from services.dispatch.queries.timers import list_due_cases, next_due_at
from shared.database.engine import is_transient
from shared.run_forever import run_forever

_log = structlog.stdlib.get_logger(__name__)
_BATCH = 300
_LONGEST_SLEEP = 1.0
"""Seconds: another copy may have set a timer without waking this one."""
_SHORTEST_SLEEP = 0.05
"""Seconds, while what is due is locked by another transaction."""
_POSTPONEMENT = timedelta(minutes=1)
_MATCH_SECONDS = 2.0


class TimerWatch:
    """Checks cases when they are due."""

    def __init__(self, host: CommandHost) -> None:
        self._host = host
        self._sleeps_until: datetime | None = None
        self._noted: datetime | None = None
        self._wakeup = asyncio.Event()

    def note_due(self, due_at: datetime) -> None:
        """A case was written that is due then."""
        self._noted = due_at if self._noted is None else min(due_at, self._noted)
        if self._sleeps_until is not None and due_at < self._sleeps_until:
            self._wakeup.set()

    async def run(self) -> None:
        """Check what is due, for ever."""
        await run_forever("timers", self._check_and_rest, is_temporary=is_transient)

    async def check_due_cases(self) -> int:
        """Check a batch of the cases that are due now; how many they were."""
        now = self._host.clock.now()
        async with self._host.database.autocommit() as connection:
            ids = await list_due_cases(connection, now, _BATCH)
        if not ids:
            return 0
        try:
            await self._check_cases(ids, now)
        except Exception as error:
            if is_transient(error) or len(ids) == 1:
                raise
            for case_id in ids:  # one that can't be checked must not stand in the way of the others
                await self._check_alone(case_id, now)
        return len(ids)

    async def _check_and_rest(self) -> None:
        self._wakeup.clear()
        self._noted = None
        async with self._host.database.autocommit() as connection:
            stored = await next_due_at(connection)
        due_at = min((at for at in (stored, self._noted) if at is not None), default=None)
        is_due = due_at is not None and due_at <= self._host.clock.now()
        if not is_due or await self.check_due_cases() < _BATCH:
            await self._rest(due_at)

    async def _check_alone(self, case_id: str, now: datetime) -> None:
        try:
            await self._check_cases([case_id], now)
        except Exception as error:
            _log.error("a case could not be checked", case=case_id, exc_info=error)
            async with self._host.database.transaction() as connection:
                await postpone_check(connection, case_id, now + _POSTPONEMENT)

    async def _check_cases(self, ids: Sequence[str], now: datetime) -> None:
        async with self._host.database.transaction() as connection:
            commands = [CheckDeadlines(case=case_id) for case_id in ids]
            await execute_commands(connection, self._host, commands, now, skip_locked=True)

    async def _rest(self, due_at: datetime | None) -> None:
        """Until the next case is due by the service's clock, one is written that is due sooner, or a second
        is over."""
        clock = self._host.clock
        seconds = _LONGEST_SLEEP
        if due_at is not None:
            left = (due_at - clock.now()).total_seconds()
            seconds = min(max(left, _SHORTEST_SLEEP), _LONGEST_SLEEP)
        self._sleeps_until = clock.now() + timedelta(seconds=seconds)
        waits = [asyncio.ensure_future(self._wakeup.wait()), asyncio.ensure_future(clock.sleep(seconds))]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._sleeps_until = None
            for wait in waits:
                wait.cancel()


async def match_withdrawals_forever(host: CommandHost) -> None:
    """Withdraw, for ever, the cases of demands that were taken back before they came."""

    async def match() -> None:
        async with host.database.transaction() as connection:
            await match_withdrawals(connection, host, host.clock.now())

    await run_forever("withdrawals", match, every=_MATCH_SECONDS, is_temporary=is_transient)
