"""Accepts batches of incoming events: each once, durable, in one row that is also what is published."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from msgspec import Struct
from sqlalchemy.exc import IntegrityError

from services.intake import queries
from services.intake.domain.incoming_event import IncomingEvent
from services.intake.models import events
from services.intake.operations.publication import make_outgoing
from services.intake.queries import UNACCOUNTED_AFTER, AcceptedEvent, StoredEvent
from shared.database.batch import BulkWrite
from shared.database.bulk import BulkInsert, Values
from shared.database.engine import Database
from shared.errors import Conflict
from shared.messaging.outbox import XID, Outbox

EventName = tuple[str, str]
_TRIES = 5
"""Each after the first only where another copy accepted one of the same events in the same moment."""


class Acceptance(Struct, frozen=True, omit_defaults=True):
    """The outcome for one event."""

    status: Literal["accepted", "duplicate"]
    source: str
    id: str
    demand: str | None = None


class EventConflict(Conflict):
    """An event of this name was accepted with other content; the first one stands."""

    title = "An event of this source and id was accepted with other content"
    title_zh = "同一 source 与 id 的事件已以不同内容被接受"


class EventWriter:
    """Writes accepted events; on PostgreSQL one statement, which is its own transaction."""

    def __init__(self, database: Database, outbox: Outbox) -> None:
        self._database, self._outbox = database, outbox
        parts = {"unsent": outbox.insert_unsent, "events": BulkInsert(events, computed={"xid": XID})}
        self._statement = BulkWrite(parts, returns="unsent")

    async def accept(self, batch: Sequence[IncomingEvent], now: datetime) -> list[Acceptance | EventConflict]:
        """Accept each event of `batch` once. Order is kept.

        One whose name was taken is a duplicate where it says the same, else an `EventConflict`.
        """
        firsts: dict[EventName, IncomingEvent] = {}
        for event in batch:
            firsts.setdefault(event.name, event)
        taken: dict[EventName, AcceptedEvent] = {}
        for tries_left in reversed(range(_TRIES)):
            try:
                await self._write([firsts[name] for name in firsts if name not in taken], now)
                break
            except IntegrityError:
                if not tries_left:
                    raise
                async with self._database.autocommit() as connection:
                    taken = await queries.get_accepted_events(connection, list(firsts))
        return [_make_acceptance(event, firsts[event.name], taken.get(event.name)) for event in batch]

    async def _write(self, fresh: Sequence[IncomingEvent], now: datetime) -> None:
        """Raises `IntegrityError` where a name is taken; then nothing is written."""
        if not fresh:
            return
        stored = [_store(event, now) for event in fresh]
        ordered = sorted(zip(stored, fresh, strict=True))  # one order for all copies: no deadlocks
        async with self._database.batch() as connection:
            await self._outbox.write(
                connection,
                self._statement,
                {"events": [_make_row(*members) for members in ordered]},
                [make_outgoing(event) for event in stored],
            )


def _store(event: IncomingEvent, now: datetime) -> StoredEvent:
    return StoredEvent(
        *event.name, event.type, event.time, event.demand, data=event.body, accepted_at=now, trace=event.trace
    )


def _make_row(stored: StoredEvent, event: IncomingEvent) -> Values:
    return {
        **stored._asdict(),
        "property": event.data.property,
        "digest": event.digest,
        "accepted_by": event.by,
        "republish_at": None if event.demand is None else stored.accepted_at + UNACCOUNTED_AFTER,
    }


def _make_acceptance(
    event: IncomingEvent, first: IncomingEvent, taken: AcceptedEvent | None
) -> Acceptance | EventConflict:
    known = taken or first
    if known.digest != event.digest:
        return EventConflict()
    return Acceptance("accepted" if known is event else "duplicate", *event.name, known.demand)
