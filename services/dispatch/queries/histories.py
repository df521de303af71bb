"""Reads of the histories of cases."""

from collections.abc import Iterable

from msgspec import convert
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.dispatch.domain.case import HistoryEntry
from services.dispatch.models import case_history
from shared.database.bulk import any_of


class StoredEntry(HistoryEntry, frozen=True, kw_only=True):
    """An entry of a history, with its case."""

    case_id: str


ENTRY_COLUMNS = tuple(case_history.c[name] for name in StoredEntry.__struct_fields__)


async def get_histories(connection: AsyncConnection, ids: Iterable[str]) -> dict[str, list[HistoryEntry]]:
    """Every step of each of `ids`, in order."""
    query = select(*ENTRY_COLUMNS).where(any_of(connection, case_history.c.case_id, sorted(set(ids))))
    histories: dict[str, list[HistoryEntry]] = {}
    for row in await connection.execute(query.order_by(case_history.c.case_id, case_history.c.seq)):
        entry = convert(row, StoredEntry, from_attributes=True)
        histories.setdefault(entry.case_id, []).append(entry)
    return histories
