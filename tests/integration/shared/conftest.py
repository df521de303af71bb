"""A service's messaging by itself: its tables, a bus that can refuse, and no service around."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from sqlalchemy import Table, select

from shared.clock import ManualClock
from shared.database.engine import Database
from shared.database.types import metadata_for
from shared.ids import new_id
from shared.messages.cloudevents import Event
from shared.messages.facts import FeeReversed
from shared.messaging.bus import BusDown, Delivery, Message
from shared.messaging.dead_letters import DeadLetters
from shared.messaging.inbox import Inbox
from shared.messaging.outbox import Outbox
from shared.messaging.relay import Relay
from shared.messaging.tables import define_messaging_tables
from tests.conftest import MakeDatabase
from tests.contract.samples import demand

METADATA = metadata_for("tester")
TABLES = define_messaging_tables(METADATA)


@dataclass
class RecordingBus:
    """A bus that records what is published, refuses bodies that hold `refuses`, and can be away."""

    sent: list[Message] = field(default_factory=list)
    retried: list[tuple[Delivery, bytes, int]] = field(default_factory=list)
    refuses: bytes = b"never"
    away: bool = False

    async def number_sent(self) -> int:
        """For waiting."""
        return len(self.sent)

    async def start(self, consumers: Any, rests: Any = None) -> None:
        """Nothing to connect."""

    async def publish(self, messages: Sequence[Message]) -> Sequence[int]:
        if self.away:
            raise BusDown
        refused = [index for index, message in enumerate(messages) if self.refuses in message.body]
        self.sent += [message for index, message in enumerate(messages) if index not in refused]
        return refused

    async def retry(self, delivery: Delivery, body: bytes, seconds: int) -> None:
        self.retried.append((delivery, body, seconds))

    async def ping(self) -> None:
        """It is there."""

    async def pause(self) -> None:
        """Nothing in hand."""

    async def stop(self) -> None:
        """Nothing to disconnect."""


@dataclass
class MessagingDriver:
    """Messaging on one database."""

    database: Database
    clock: ManualClock
    bus: RecordingBus
    outbox: Outbox
    inbox: Inbox
    dead_letters: DeadLetters
    relay: Relay

    async def record(self, *events: Event) -> None:
        """Record events in a transaction of their own."""
        async with self.database.transaction() as connection:
            await self.outbox.record(connection, *events)

    async def rows(self, table: Table) -> list[Any]:
        """All rows of a table."""
        async with self.database.snapshot() as connection:
            return list((await connection.execute(select(table))).all())

    def copy(self) -> Relay:
        """A relay over the same tables, as another process has it."""
        return Relay(self.database, Outbox(self.database, TABLES, self.clock), self.bus, self.clock)


@pytest.fixture
async def messaging(database: MakeDatabase, clock: ManualClock) -> AsyncIterator[MessagingDriver]:
    """The tables of messaging, empty."""
    db, bus = await database("tester", METADATA), RecordingBus()
    outbox = Outbox(db, TABLES, clock)
    inbox, dead_letters = Inbox(TABLES.inbox, clock), DeadLetters(TABLES.dead_letters, clock)
    yield MessagingDriver(db, clock, bus, outbox, inbox, dead_letters, Relay(db, outbox, bus, clock))


def make_fact(id_: str, clock: ManualClock, text: str = "p") -> Event:
    """A fact of that id."""
    return Event.of(FeeReversed(property="tower", payment=text), source="test", time=clock.now(), id=id_)


def make_demand_event(messaging: MessagingDriver, size: int) -> Event:
    """A demand with a description of that many bytes."""
    data = msgspec.structs.replace(demand(new_id()), description="x" * size)
    return Event.of(data, source="intake", time=messaging.clock.now())
