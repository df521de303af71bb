"""`guanjia import`: another system's event log, taken in through the same door as everybody's demands.

Nothing bypasses workflow, clocks or history: demands are posted as events, and every later state of the log
is reached by actions with their real times. Posting is safe to repeat: a killed import is run again.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from guanjia.importer.client import EventRefused, ImportClient, action_key
from guanjia.importer.journal import Journal, write_bad_rows
from guanjia.importer.log_rows import Log, LoggedCase, Wanted, read_log
from guanjia.importer.mapping import MappingFile, RowUnusable, read_mapping

BATCH = 200
JOURNAL = "journal.jsonl"
BAD_ROWS = "bad.csv"


@dataclass(frozen=True)
class Counts:
    """How far an import is. `skipped`: cases that an earlier run had finished."""

    rows: int = 0
    cases: int = 0
    done: int = 0
    skipped: int = 0
    actions: int = 0
    bad: int = 0


Report = Callable[[Counts], None]


async def import_log(
    mapping: Path,
    data: Path,
    *,
    url: str,
    key: str,
    out: Path,
    report: Report,
    dispatch_url: str = "",
    at_once: int = 16,
    patience: float = 300,
) -> Counts:
    """Take in the cases of `data` as `mapping` says; journal and bad rows are kept in the folder `out`.

    `at_once` cases are worked on side by side, each in the order of its own times. Raises MappingUnusable, or
    ImportStopped when the servers do not answer for `patience` seconds; called again, it goes on.
    """
    read = read_mapping(mapping)
    log = read_log(read, data)
    with Journal(out / JOURNAL, mapping, data) as journal:
        async with ImportClient(url, key, read.source, dispatch_url, patience) as door:
            run = _Run(read, log, journal, door, asyncio.Semaphore(at_once), report)
            try:
                await run.all()
            finally:
                write_bad_rows(out / BAD_ROWS, log.columns, log.rows, log.bad | journal.reasons)
    return run.counts


@dataclass
class _Run:
    """One run over the log."""

    mapping: MappingFile
    log: Log
    journal: Journal
    door: ImportClient
    places: asyncio.Semaphore
    report: Report
    counts: Counts = field(default=Counts())

    async def all(self) -> None:
        todo = [case for case in self.log.cases if case.name not in self.journal.done]
        skipped = len(self.log.cases) - len(todo)
        self._count(rows=len(self.log.rows), cases=len(self.log.cases), skipped=skipped)
        batches = [todo[start : start + BATCH] for start in range(0, len(todo), BATCH)]
        ahead: asyncio.Task[None] | None = None
        for batch in batches:  # the next batch is opened while the one before is worked on
            opened = await self.door.open_cases(batch)
            if ahead:
                await ahead
            ahead = asyncio.create_task(self._batch(batch, opened))
        if ahead:
            await ahead

    async def _batch(self, batch: Sequence[LoggedCase], opened: Sequence[str | EventRefused]) -> None:
        async with asyncio.TaskGroup() as group:
            for case, answer in zip(batch, opened, strict=True):
                group.create_task(self._case(case, answer))

    async def _case(self, case: LoggedCase, opened: str | EventRefused) -> None:
        async with self.places:
            if isinstance(opened, EventRefused):
                for row in sorted({case.row, *(wanted.row for wanted in case.wanted)}):
                    self._refuse(row, str(opened), "")
            else:
                await self._follow(case, opened)
            self.journal.case_done(case.name)
            self._count(done=self.counts.done + 1)

    async def _follow(self, case: LoggedCase, opened: str) -> None:
        """Take the case through all that the log says of it; a row that does not fit is set aside alone."""
        state, last, seen = self.mapping.start[case.kind], None, Counter[bytes]()
        for wanted in case.wanted:
            if earlier := self.journal.refused.get(wanted.row):
                state = earlier.state or state
                continue
            if wanted.goal.state == state and last in (None, wanted.goal):
                continue
            try:
                state = await self._reach(case, opened, state, wanted, seen)
                last = wanted.goal
            except (RowUnusable, EventRefused) as reason:
                if isinstance(reason, EventRefused):
                    state = await self.door.state(opened)
                self._refuse(wanted.row, str(reason), state)

    async def _reach(
        self, case: LoggedCase, opened: str, state: str, wanted: Wanted, seen: Counter[bytes]
    ) -> str:
        """The moves from `state` to what is wanted, all at the time that the log gives; the state then."""
        way = self.mapping.way(state, wanted.goal.state)
        for number, move in enumerate(way, start=1):
            values = {**move.data, **(wanted.goal.data if number == len(way) else {})}
            data = self.mapping.data(values, wanted.cells)
            key = action_key(self.mapping.source, case.name, move.action, wanted.at, data, seen)
            state = await self.door.act(opened, move.action, wanted.at, data, key)
            self._count(actions=self.counts.actions + 1)
        return state

    def _refuse(self, row: int, reason: str, state: str) -> None:
        self.journal.row_refused(row, reason, state)
        self._count()

    def _count(self, **changes: int) -> None:
        bad = len(self.log.bad.keys() | self.journal.refused.keys())
        self.counts = replace(self.counts, bad=bad, **changes)
        self.report(self.counts)
