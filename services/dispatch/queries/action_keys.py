"""Reads of the replies that were given under an `Idempotency-Key`."""

from collections.abc import Iterable

from msgspec import Struct, convert
from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from services.dispatch.models import action_keys


class EarlierReply(Struct, frozen=True, kw_only=True):
    """The reply to `key` of `caller`; `digest` is of the request, `version` the case's after the step."""

    caller: str
    key: str
    digest: str
    version: int
    answer: bytes


async def get_earlier_replies(
    connection: AsyncConnection, names: Iterable[tuple[str, str]]
) -> list[EarlierReply]:
    """The replies that were given to these keys of these callers."""
    columns = (action_keys.c[name] for name in EarlierReply.__struct_fields__)
    is_named = tuple_(action_keys.c.caller, action_keys.c.key).in_(sorted(set(names)))
    rows = await connection.execute(select(*columns).where(is_named))
    return [convert(row, EarlierReply, from_attributes=True) for row in rows]
