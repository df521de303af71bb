"""Reads of steps: the histories of cases, and what was done under a key."""

from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Struct
from sqlalchemy import Select, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from services.dispatch.domain.case import Case, HistoryEntry
from services.dispatch.domain.earlier_forms import decode_case_body
from services.dispatch.models import steps
from shared.database.bulk import any_of

entry_decoder = msgspec.json.Decoder(HistoryEntry)


class KeyedStep(Struct, frozen=True, kw_only=True):
    """The last step that was taken for a request under `key` of `caller`, with the `digest` of the request.

    `case`: as it was after the step, None where that is not kept any more.
    """

    caller: str
    key: str
    digest: str
    case_id: str
    entry: HistoryEntry
    case: Case | None


async def get_histories(connection: AsyncConnection, ids: Iterable[str]) -> dict[str, list[HistoryEntry]]:
    """Every step of each of `ids`, in order."""
    query: Select[str, bytes] = select(steps.c.case_id, steps.c.entry)
    query = query.where(any_of(connection, steps.c.case_id, sorted(set(ids))))
    histories: dict[str, list[HistoryEntry]] = {}
    for case_id, entry in await connection.execute(query.order_by(steps.c.case_id, steps.c.seq)):
        histories.setdefault(case_id, []).append(entry_decoder.decode(entry))
    return histories


async def get_keyed_steps(connection: AsyncConnection, names: Sequence[tuple[str, str]]) -> list[KeyedStep]:
    """The steps that were taken under these keys of these callers."""
    table = steps.c
    columns = (table.caller, table.key, table.digest, table.case_id, table.entry, table.body)
    query: Select[str, str, str, str, bytes, bytes | None] = select(*columns).where(
        tuple_(table.caller, table.key).in_(sorted(names))
    )
    return [
        KeyedStep(
            caller=caller,
            key=key,
            digest=digest,
            case_id=case_id,
            entry=entry_decoder.decode(entry),
            case=None if body is None else decode_case_body(body),
        )
        for caller, key, digest, case_id, entry, body in await connection.execute(query)
    ]
