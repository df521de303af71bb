"""All that the bench knows of the product's tables: where these change, this file does and no other.

What the product tells by itself (`/metrics`, its API) is asked there; here is what only the tables can tell.
"""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tests.support.stores import fetch_rows

OPEN_STATE, LAST_STATE, CLOSED_STATE = "dispatched", "following_up", "closed"
"""Of a repair: given to somebody; done and to be followed up; followed up."""

# Whole repairs: nothing may be missing, nothing double.

_REPAIRS = """
SELECT (SELECT count(*) FROM intake.events WHERE demand IS NOT NULL) AS demands,
       (SELECT count(*) FROM dispatch.cases WHERE state = $1) AS done,
       (SELECT count(*) FROM dispatch.cases) AS cases,
       (SELECT count(*) FROM dispatch.steps) AS steps,
       (SELECT count(*) FROM (SELECT DISTINCT case_id, seq FROM dispatch.steps) s) AS different_steps,
       (SELECT count(*) FROM intake.case_states WHERE state = $1) AS told_to_intake,
       (SELECT count(*) FROM survey.followups) AS told_to_survey,
       (SELECT count(*) FROM kpi.cases WHERE version >= $2) AS told_to_kpi
"""


async def count_repairs(url: str, state: str, version: int) -> dict[str, int]:
    """What all four services have written of repairs: those in `state`, and what others know of them."""
    return (await fetch_rows(url, _REPAIRS, state, version))[0]


def expect_repairs(repairs: int, steps: int) -> dict[str, int]:
    """What `count_repairs` finds where so many repairs took so many steps each and all is told."""
    each = ("demands", "done", "cases", "told_to_intake", "told_to_survey", "told_to_kpi")
    return dict.fromkeys(each, repairs) | dict.fromkeys(("steps", "different_steps"), repairs * steps)


def count_embedded_repairs(folder: Path) -> tuple[int, int, int]:
    """Repairs that are done, steps of all cases, follow-ups; from the files of an embedded process."""
    with closing(sqlite3.connect(f"file:{folder / 'dispatch.db'}?mode=ro", uri=True)) as dispatch:
        done = dispatch.execute("SELECT count(*) FROM cases WHERE state = ?", [LAST_STATE]).fetchone()[0]
        steps = dispatch.execute("SELECT count(*) FROM steps").fetchone()[0]
    with closing(sqlite3.connect(f"file:{folder / 'survey.db'}?mode=ro", uri=True)) as survey:
        return done, steps, survey.execute("SELECT count(*) FROM followups").fetchone()[0]


async def count_events(url: str) -> int:
    """The events that intake has accepted."""
    return int((await fetch_rows(url, "SELECT count(*) AS found FROM intake.events"))[0]["found"])


_ASSIGNED = "SELECT count(*) AS found FROM dispatch.cases WHERE state = $1 AND version = 2"


async def count_assigned(url: str) -> int:
    """The cases that were opened and given to somebody, and nothing else."""
    return int((await fetch_rows(url, _ASSIGNED, OPEN_STATE))[0]["found"])


_OPEN_ASSIGNED = """
SELECT id, assignee FROM dispatch.cases JOIN dispatch.case_requests USING (id)
WHERE is_open AND assignee IS NOT NULL
"""


async def list_assigned(url: str, prefix: str) -> list[tuple[str, str]]:
    """The open cases whose reference begins so, and who has each."""
    rows = await fetch_rows(url, f"{_OPEN_ASSIGNED} AND reference LIKE $1 || '%'", prefix)
    return [(str(row["id"]), row["assignee"]) for row in rows]


_SAMPLE = "SELECT case_id FROM dispatch.steps TABLESAMPLE SYSTEM_ROWS (40)"


async def sample_cases(url: str) -> list[str]:
    """The ids of some cases of any age."""
    await fetch_rows(url, "CREATE EXTENSION IF NOT EXISTS tsm_system_rows")
    return [str(row["case_id"]) for row in await fetch_rows(url, _SAMPLE)]


# What kpi counts from.

RATE_ITEMS = "SELECT count(*), coalesce(sum(hashtextextended(i::text, 0)), 0)::text FROM kpi.items i"
"""How many items there are, and a sum that is another where one of them is."""
RATE_EVENTS = "SELECT (SELECT count(*) FROM kpi.facts) + (SELECT count(*) FROM kpi.cases)"
DELETE_RATE_ITEMS = "TRUNCATE kpi.items"
RATE_READS = """
SELECT sum(seq_scan)::bigint AS scans, sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::bigint AS rows
FROM pg_stat_user_tables WHERE schemaname = 'kpi' AND relname IN ('items', 'facts', 'cases')
"""
EXPLAIN_RATES = """
EXPLAIN SELECT family, sum(weight), sum(good) FROM kpi.items
WHERE property = 'tower-3' AND family IN ('bill', 'inspected', 'follow_up_repair') AND counted_at >= {start}
GROUP BY family
"""
"""How items are read for one property; `start` in microseconds."""


# A history that is copied.


@dataclass(frozen=True)
class CopiedTable:
    """A table that is copied; `closed` selects the rows of what is over, `latest_only` copies it but once."""

    table: str
    closed: str = "true"
    latest_only: bool = False


_CASE_IS_CLOSED = "NOT EXISTS (SELECT FROM template.dispatch_cases c WHERE c.is_open AND c.id = {})"
COUNT_TEMPLATE_CASES = "SELECT count(*) FROM template.dispatch_cases"
DISPATCH_TABLES = (
    CopiedTable("dispatch.cases", "NOT is_open"),
    CopiedTable("dispatch.case_requests", _CASE_IS_CLOSED.format("t.id")),
    CopiedTable("dispatch.steps", _CASE_IS_CLOSED.format("t.case_id")),
    CopiedTable("dispatch.equipment", latest_only=True),
    CopiedTable("dispatch.equipment_states", latest_only=True),
    CopiedTable("dispatch.inspections", latest_only=True),
    CopiedTable("dispatch.residents", latest_only=True),
)
INTAKE_TABLES = (
    CopiedTable("intake.events"),
    CopiedTable("intake.case_states", _CASE_IS_CLOSED.format("t.case::text")),
)
_OF_THE_MONTH = "t.kind NOT IN ('equipment', 'occupancy', 'planting')"
"""Facts of a month; what stays for ever is in the latest copy only."""
KPI_TABLES = (
    CopiedTable("kpi.facts", _OF_THE_MONTH),
    CopiedTable("kpi.cases"),
    CopiedTable("kpi.items", _OF_THE_MONTH),
    CopiedTable("kpi.revisions", latest_only=True),
)
MICROSECOND_COLUMNS = {"counted_at", "since", "until"}
BINARY_COLUMNS = {"digest"}
"""Of type bytea, and no text."""


# How large they are.

_SIZES = """
SELECT n.nspname AS schema, c.relname AS name, pg_total_relation_size(c.oid) AS bytes
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname = ANY($1)
"""
SCHEMAS = ["intake", "dispatch", "survey", "kpi"]
HISTORY_TABLES = {
    *("intake.events", "intake.case_states"),
    *("dispatch.cases", "dispatch.case_requests", "dispatch.steps"),
    *("dispatch.equipment_states", "dispatch.inspections", "dispatch.residents", "dispatch.equipment"),
    *("survey.followups", "survey.attempts", "survey.form_links", "kpi.facts", "kpi.cases", "kpi.items"),
}
"""What is kept for ever, as it is the history itself: it grows with the work done."""
EXPIRING_TABLES = {
    f"{schema}.{table}" for schema in SCHEMAS for table in ("unsent", "outbox", "inbox", "revoked_keys")
}
"""What grows until its rows expire (outbox 2 hours, inbox and revoked keys 30 days)."""


async def measure_tables(url: str) -> dict[str, int]:
    """The bytes of every table of all services with its indexes and TOAST, by `schema.table`."""
    return {f"{row['schema']}.{row['name']}": row["bytes"] for row in await fetch_rows(url, _SIZES, SCHEMAS)}


async def count_rows(url: str) -> dict[str, int]:
    """The rows of every table of all services, counted one by one, by `schema.table`."""
    counts = [
        f"SELECT '{table}' AS name, count(*) AS found FROM {table}" for table in await measure_tables(url)
    ]
    return {row["name"]: row["found"] for row in await fetch_rows(url, " UNION ALL ".join(counts))}


async def vacuum(url: str, *, full: bool = False) -> None:
    """Vacuum every table of the database; `full`: write them anew, with no room left in them."""
    await fetch_rows(url, "VACUUM (FULL, ANALYZE)" if full else "VACUUM (ANALYZE)")
