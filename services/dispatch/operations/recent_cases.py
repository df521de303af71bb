"""Remembers the cases that were written here last, so that the next step need not read and decode them again.

What is remembered holds only while the database says that the row is of the same revision.
"""

from collections import OrderedDict
from collections.abc import Iterable

from msgspec import Struct

from services.dispatch.domain.case import HistoryEntry
from services.dispatch.queries.batch_read import UNKNOWN
from services.dispatch.queries.cases import StoredCase

_LIMIT = 500


class RecentCase(Struct, frozen=True):
    """A case as of a revision; `history` None: not known."""

    stored: StoredCase
    revision: int
    history: tuple[HistoryEntry, ...] | None


class RecentCases:
    """The latest `_LIMIT` cases of one process."""

    def __init__(self) -> None:
        self._cases: OrderedDict[str, RecentCase] = OrderedDict()

    def select(self, ids: Iterable[str], *, histories: bool) -> dict[str, RecentCase]:
        """Those of `ids` that are remembered, with `histories` those with their history."""
        found = ((case_id, self._cases.get(case_id)) for case_id in ids)
        return {case_id: one for case_id, one in found if one and (one.history is not None or not histories)}

    def remember(self, recent: RecentCase) -> None:
        """In place of what was remembered of the case, unless that is newer."""
        case_id = recent.stored.case.id
        earlier = self._cases.pop(case_id, None)
        self._cases[case_id] = recent if earlier is None or earlier.revision <= recent.revision else earlier
        if len(self._cases) > _LIMIT:
            self._cases.popitem(last=False)


def revision_of(recent: RecentCase | None) -> int:
    """The revision that is remembered."""
    return UNKNOWN if recent is None else recent.revision
