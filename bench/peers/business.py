"""The work of every step of a peer: a transition in PostgreSQL, in one statement and one commit.

The case (guarded by its version), its history, an outbox row, and its timer: what the product writes, and
no less.
"""

import uuid
from datetime import UTC, datetime
from typing import Any

STATES = (
    "reported",
    "dispatched",
    "accepted",
    "travelling",
    "on_site",
    "waiting",
    "on_site",
    "completed",
    "following_up",
)
STEPS = len(STATES) - 1
TIMED = ("dispatched", "travelling")
DUE = datetime(2040, 1, 1, tzinfo=UTC)

DDL = """
CREATE TABLE cases (
    id uuid PRIMARY KEY, version int NOT NULL, state text NOT NULL, body jsonb NOT NULL,
    opened_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(),
    closed_at timestamptz
) WITH (fillfactor = 70);
CREATE INDEX ix_cases_open ON cases (state, opened_at) WHERE closed_at IS NULL;
CREATE TABLE case_history (
    case_id uuid NOT NULL, version int NOT NULL, from_state text NOT NULL, to_state text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(), data jsonb NOT NULL, PRIMARY KEY (case_id, version)
);
CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, case_id uuid NOT NULL, topic text NOT NULL,
    payload text NOT NULL
);
CREATE TABLE timers (
    case_id uuid NOT NULL, name text NOT NULL, due_at timestamptz NOT NULL, PRIMARY KEY (case_id, name)
);
CREATE INDEX ix_timers_due_at ON timers (due_at);
"""

# $1 case, $2 version before, $3 to, $4 from, $5 data, $6 topic, $7 payload, $8 due
OPEN = """
WITH c AS (INSERT INTO cases (id, version, state, body) VALUES ($1, $2::int + 1, $3::text, $7::text::jsonb)
           ON CONFLICT DO NOTHING RETURNING id, version),
     h AS (INSERT INTO case_history (case_id, version, from_state, to_state, data)
           SELECT id, version, $4::text, $3::text, $5::jsonb FROM c),
     o AS (INSERT INTO outbox (case_id, topic, payload) SELECT id, $6::text, $7::text FROM c),
     t AS (INSERT INTO timers (case_id, name, due_at)
           SELECT id, 'respond', $8::timestamptz FROM c WHERE $8::timestamptz IS NOT NULL)
SELECT version FROM c
"""
STEP = """
WITH c AS (UPDATE cases SET version = $2::int + 1, state = $3::text, updated_at = now(),
                  closed_at = CASE WHEN $3::text = 'following_up' THEN now() END
           WHERE id = $1 AND version = $2::int RETURNING id, version),
     h AS (INSERT INTO case_history (case_id, version, from_state, to_state, data)
           SELECT id, version, $4::text, $3::text, $5::jsonb FROM c),
     o AS (INSERT INTO outbox (case_id, topic, payload) SELECT id, $6::text, $7::text FROM c),
     d AS (DELETE FROM timers USING c WHERE timers.case_id = c.id AND $8::timestamptz IS NULL),
     t AS (INSERT INTO timers (case_id, name, due_at)
           SELECT id, 'respond', $8::timestamptz FROM c WHERE $8::timestamptz IS NOT NULL
           ON CONFLICT (case_id, name) DO UPDATE SET due_at = excluded.due_at)
SELECT version FROM c
"""


def get_statement(step: int) -> str:
    """The statement of that step, from 0: the first opens the case, assigned."""
    return STEP if step else OPEN


def make_values(case: str, step: int, demand: str) -> tuple[Any, ...]:
    """Its values. The first step stores the demand, every step tells it on, as the product's events do."""
    before, after = STATES[step], STATES[step + 1]
    history_data = f'{{"by": "dispatch", "step": "{after}"}}'
    due = DUE if after in TIMED else None
    return uuid.UUID(case), step, after, before, history_data, f"case.{after}", demand, due


async def take_step(pool: Any, case: str, step: int, demand: str) -> None:
    """Take a step over an asyncpg pool. RuntimeError where the case had moved on."""
    async with pool.acquire() as connection:
        if await connection.fetchval(get_statement(step), *make_values(case, step, demand)) is None:
            raise RuntimeError(f"step {step} of {case} was taken before")
