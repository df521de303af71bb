"""Tables of survey: follow-ups, the attempts at them, the links to their forms. Tokens are stored hashed."""

from sqlalchemy import Column, Index, Integer, Table, Text

from shared.database.types import Json, Key, UtcDateTime, metadata_for
from shared.messaging.tables import define_messaging_tables

metadata = metadata_for("survey")
messaging_tables = define_messaging_tables(metadata)

followups = Table(
    "followups",
    metadata,
    Column("id", Key, primary_key=True),
    Column("case_id", Key, nullable=False),
    Column("case_version", Integer, nullable=False),
    Column("number", Text, nullable=False),
    Column("property", Key, nullable=False),
    Column("kind", Key, nullable=False),
    Column("line", Key, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("since", UtcDateTime, nullable=False),
    Column("workers", Json, nullable=False),
    Column("language", Text),
    Column("form_expires_at", UtcDateTime, nullable=False),
    Column("state", Key, nullable=False, server_default="due"),
    Index("uq_followups_case_id", "case_id", unique=True),
    Index("ix_followups_due_at", "due_at", "id"),
)
"""One for every case that is owed one; `case_version` is the version of the case that the plan is from."""
Index("ix_followups_open", followups.c.property, followups.c.due_at, followups.c.id,
      postgresql_where=followups.c.state == "due", sqlite_where=followups.c.state == "due")  # fmt: skip

attempts = Table(
    "attempts",
    metadata,
    Column("followup_id", Key, primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("outcome", Key, nullable=False),
    Column("channel", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("recorded_at", UtcDateTime, nullable=False),
    Column("actor", Text, nullable=False),
    Column("recorded_by", Text, nullable=False),
    Column("answer", Json),
    Column("state", Key, nullable=False),
    Column("result", Key),
    Column("version", Integer, nullable=False),
    Column("caller", Key),
    Column("idempotency_key", Key),
    Column("body_hash", Text),
)
"""Every attempt, in order, with the state of the follow-up after it and the request that reported it."""
Index("uq_attempts_caller", attempts.c.caller, attempts.c.idempotency_key, unique=True,
      postgresql_where=attempts.c.idempotency_key.is_not(None),
      sqlite_where=attempts.c.idempotency_key.is_not(None))  # fmt: skip

Index("ix_attempts_keyed", attempts.c.recorded_at, postgresql_where=attempts.c.idempotency_key.is_not(None),
      sqlite_where=attempts.c.idempotency_key.is_not(None))  # fmt: skip

form_links = Table(
    "form_links",
    metadata,
    Column("token_hash", Key, primary_key=True),
    Column("followup_id", Key, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Index("ix_form_links_expires_at", "expires_at"),
)
"""Which form a token opens, until the form expires; after a change of the secret a follow-up has two."""
