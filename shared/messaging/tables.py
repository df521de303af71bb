"""The tables of messaging in every service's database: outbox, inbox, dead letters, revoked keys."""

from dataclasses import dataclass

from sqlalchemy import BigInteger, Column, Identity, Index, Integer, LargeBinary, MetaData, Table, Text
from sqlalchemy.types import TypeEngine

from shared.database.types import Json, Key, UtcDateTime

_Position: TypeEngine[int] = BigInteger().with_variant(Integer(), "sqlite")


@dataclass(frozen=True)
class MessagingTables:
    """The tables of messaging in one service's schema."""

    outbox: Table
    inbox: Table
    dead_letters: Table
    revoked_keys: Table


def define_messaging_tables(metadata: MetaData) -> MessagingTables:
    """Define the tables in `metadata`; every service's models call this once."""
    outbox = Table(
        "outbox",
        metadata,
        Column("id", _Position, Identity(always=False), primary_key=True),
        Column("type", Text, nullable=False),
        Column("body", LargeBinary, nullable=False),
        Column("recorded_at", UtcDateTime, nullable=False),
        Column("available_at", UtcDateTime, nullable=False),
        Column("attempts", Integer, nullable=False, server_default="0"),
        Column("sent_at", UtcDateTime),
    )
    unsent, sent = outbox.c.sent_at.is_(None), outbox.c.sent_at.is_not(None)
    Index("ix_outbox_unsent", outbox.c.id, postgresql_where=unsent, sqlite_where=unsent)
    Index("ix_outbox_sent_at", outbox.c.sent_at, postgresql_where=sent, sqlite_where=sent)
    inbox = Table(
        "inbox",
        metadata,
        Column("consumer", Key, primary_key=True),
        Column("source", Key, primary_key=True),
        Column("id", Key, primary_key=True),
        Column("received_at", UtcDateTime, nullable=False),
        Index("ix_inbox_received_at", "received_at"),
    )
    dead_letters = Table(
        "dead_letters",
        metadata,
        Column("id", Key, primary_key=True),
        Column("queue", Text, nullable=False),
        Column("reason", Text, nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("headers", Json, nullable=False),
        Column("body", LargeBinary, nullable=False),
        Column("died_at", UtcDateTime, nullable=False),
        Column("replayed_at", UtcDateTime),
        Index("ix_dead_letters_queue", "queue", "died_at"),
    )
    revoked_keys = Table(
        "revoked_keys",
        metadata,
        Column("key", Key, primary_key=True),
        Column("revoked_at", UtcDateTime, nullable=False),
    )
    return MessagingTables(outbox, inbox, dead_letters, revoked_keys)
