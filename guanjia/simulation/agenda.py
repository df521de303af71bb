"""What the simulated people mean to do, in the order of the moments for which they mean it."""

import heapq
from datetime import datetime

from guanjia.simulation.case_tracker import Intent


class Agenda:
    """Intents by moment; those of one moment in the order in which they were added."""

    def __init__(self) -> None:
        self._entries: list[tuple[datetime, int, Intent]] = []
        self._added = 0

    def add(self, at: datetime, intent: Intent) -> None:
        """Something is meant to be done at `at`."""
        self._added += 1
        heapq.heappush(self._entries, (at, self._added, intent))

    def next_at(self) -> datetime | None:
        """The moment of the first intent; None where there is none."""
        return self._entries[0][0] if self._entries else None

    def pop_due(self, now: datetime) -> list[Intent]:
        """Take out all that is meant for `now` or before."""
        due = []
        while self._entries and self._entries[0][0] <= now:
            due.append(heapq.heappop(self._entries)[2])
        return due
