"""`guanjia import`: another system's event log, posted to the same API as everybody's demands.

Nothing bypasses workflow, deadlines or history: demands are posted as events, every later state of the log
is reached by actions with their real times. Posting is safe to repeat: a killed import is run again.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from guanjia.importer.client import EventRefused, ImportClient, make_action_key
from guanjia.importer.journal import Journal, write_bad_rows
from guanjia.importer.log_rows import Log, LoggedCase, RequiredState, read_log
from guanjia.importer.mapping import MappingFile, RowUnusable, read_mapping

BATCH = 200
JOURNAL = "journal.jsonl"
BAD_ROWS = "bad.csv"


@dataclass(frozen=True)
class ImportCounts:
    """How far an import is. `skipped`: cases that an earlier run had finished."""

    rows: int = 0
    cases: int = 0
    done: int = 0
    skipped: int = 0
    actions: int = 0
    bad: int = 0


Report = Callable[[ImportCounts], None]


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
) -> ImportCounts:
    """Take in the cases of `data` as `mapping` says; journal and bad rows are kept in the folder `out`.

    `at_once` cases are worked on side by side, each in the order of its own times. Raises MappingUnusable, or
    ImportStopped when the servers do not answer for `patience` seconds; called again, it goes on.
    """
    mapping_file = read_mapping(mapping)
    log = read_log(mapping_file, data)
    with Journal(out / JOURNAL, mapping, data) as journal:
        async with ImportClient(url, key, mapping_file.source, dispatch_url, patience) as client:
            run = _ImportRun(mapping_file, log, journal, client, asyncio.Semaphore(at_once), report)
            try:
                await run.import_cases()
            finally:
                write_bad_rows(out / BAD_ROWS, log.columns, log.rows, log.bad | journal.reasons)
    return run.counts


@dataclass
class _ImportRun:
    """One run over the log."""

    mapping: MappingFile
    log: Log
    journal: Journal
    client: ImportClient
    slots: asyncio.Semaphore
    report: Report
    counts: ImportCounts = field(default=ImportCounts())

    async def import_cases(self) -> None:
        remaining = [case for case in self.log.cases if case.name not in self.journal.done]
        skipped = len(self.log.cases) - len(remaining)
        self._report_progress(rows=len(self.log.rows), cases=len(self.log.cases), skipped=skipped)
        batches = [remaining[start : start + BATCH] for start in range(0, len(remaining), BATCH)]
        running: asyncio.Task[None] | None = None
        for batch in batches:  # the next batch is opened while the one before is worked on
            openings = await self.client.open_cases(batch)
            if running:
                await running
            running = asyncio.create_task(self._follow_cases(batch, openings))
        if running:
            await running

    async def _follow_cases(
        self, batch: Sequence[LoggedCase], openings: Sequence[str | EventRefused]
    ) -> None:
        async with asyncio.TaskGroup() as group:
            for case, opening in zip(batch, openings, strict=True):
                group.create_task(self._import_case(case, opening))

    async def _import_case(self, case: LoggedCase, opening: str | EventRefused) -> None:
        async with self.slots:
            if isinstance(opening, EventRefused):
                for row in sorted({case.row, *(required.row for required in case.required_states)}):
                    self._record_refusal(row, str(opening), "")
            else:
                await self._replay_states(case, opening)
            self.journal.record_case(case.name)
            self._report_progress(done=self.counts.done + 1)

    async def _replay_states(self, case: LoggedCase, case_id: str) -> None:
        """Take the case through all that the log says of it; a row that does not fit is set aside alone."""
        state, last, earlier_actions = self.mapping.start[case.kind], None, Counter[bytes]()
        for required in case.required_states:
            if earlier := self.journal.refused.get(required.row):
                state = earlier.state or state
                continue
            if required.goal.state == state and last in (None, required.goal):
                continue
            try:
                state = await self._reach_state(case, case_id, state, required, earlier_actions)
                last = required.goal
            except (RowUnusable, EventRefused) as reason:
                if isinstance(reason, EventRefused):
                    state = await self.client.get_state(case_id)
                self._record_refusal(required.row, str(reason), state)

    async def _reach_state(
        self,
        case: LoggedCase,
        case_id: str,
        state: str,
        required: RequiredState,
        earlier_actions: Counter[bytes],
    ) -> str:
        """The moves from `state` to what is wanted, all at the time that the log gives; the state then."""
        moves = self.mapping.find_moves(state, required.goal.state)
        for number, move in enumerate(moves, start=1):
            values = {**move.data, **(required.goal.data if number == len(moves) else {})}
            data = self.mapping.fill_values(values, required.cells)
            key = make_action_key(
                self.mapping.source, case.name, move.action, required.at, data, earlier_actions
            )
            state = await self.client.perform_action(case_id, move.action, required.at, data, key)
            self._report_progress(actions=self.counts.actions + 1)
        return state

    def _record_refusal(self, row: int, reason: str, state: str) -> None:
        self.journal.record_refusal(row, reason, state)
        self._report_progress()

    def _report_progress(self, **changes: int) -> None:
        bad = len(self.log.bad.keys() | self.journal.refused.keys())
        self.counts = replace(self.counts, bad=bad, **changes)
        self.report(self.counts)
