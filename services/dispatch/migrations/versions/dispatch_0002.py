"""A step is one row; what was said when a case was raised stands by itself; a case knows when it is due."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from alembic import op

from shared.database.types import Json, Key, UtcDateTime

revision = "dispatch_0002"
down_revision = "dispatch_0001"
branch_labels = None
depends_on = None

SCHEMA = "dispatch"
_MOVED = ("number", "source", "reference", "rework_of", "words", "papers")
_BITE = 5000
_encoder = msgspec.json.Encoder()


def _table(name: str, *columns: sa.Column[Any]) -> sa.Table:
    """Only a whole table's schema is translated for SQLite."""
    return sa.Table(name, sa.MetaData(), *columns, schema=SCHEMA)


def _column(name: str, kind: Any = sa.types.NullType) -> "sa.Column[Any]":
    return sa.Column(name, kind)


_CASES = _table("cases", *map(_column, ("id", "property", "version", "body", *_MOVED, "due_at")))
_REQUESTS = _table(
    "case_requests",
    *map(_column, ("id", "number", "property", "source", "reference", "rework_of", "words", "body")),
)
_TIMERS = _table("timers", *map(_column, ("case_id", "name", "due_at")))
_HISTORY = _table(
    "case_history",
    *(_column(name, sa.BigInteger) for name in ("position", "xid", "seq")),
    *(_column(name, Key) for name in ("case_id", "action", "from_state", "to_state", "actor", "recorded_by")),
    *(_column(name, UtcDateTime) for name in ("at", "recorded_at")),
    _column("data", Json),
)
_STEPS = _table(
    "steps",
    *(_column(name, sa.BigInteger) for name in ("xid", "position", "seq")),
    *(_column(name, sa.LargeBinary) for name in ("entry", "body")),
    *(_column(name, Key) for name in ("case_id", "caller", "key", "digest")),
    _column("recorded_at", UtcDateTime),
)
_KEYS = _table(
    "action_keys",
    *(_column(name, Key) for name in ("caller", "key", "digest")),
    _column("version", sa.Integer),
    _column("answer", sa.LargeBinary),
    _column("recorded_at", UtcDateTime),
)


def upgrade() -> None:
    op.create_table(
        "case_requests",
        sa.Column("id", Key, nullable=False),
        sa.Column("number", Key, nullable=False),
        sa.Column("property", Key, nullable=False),
        sa.Column("source", Key, nullable=False),
        sa.Column("reference", Key),
        sa.Column("rework_of", Key),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_case_requests"),
        schema=SCHEMA,
    )
    old = _CASES.c
    rows = sa.select(
        old.id, old.number, old.property, old.source, old.reference, old.rework_of, old.words, old.papers
    )
    op.execute(sa.insert(_REQUESTS).from_select([column.name for column in _REQUESTS.c], rows))
    _index("ix_case_requests_property", "case_requests", ["property", "id"])
    _index("ix_case_requests_number", "case_requests", ["number"])
    _index("ix_case_requests_reference", "case_requests", ["property", "source", "reference"],
           "reference IS NOT NULL")  # fmt: skip
    _index("uq_case_requests_rework_of", "case_requests", ["rework_of"], "rework_of IS NOT NULL", unique=True)
    _narrow_cases()
    _make_steps()
    for table in ("timers", "action_keys", "case_history"):
        op.drop_table(table, schema=SCHEMA)


def _narrow_cases() -> None:
    for index in ("property", "number", "open_state", "busy", "reference"):
        op.drop_index(f"ix_cases_{index}", "cases", schema=SCHEMA)
    op.drop_index("uq_cases_rework_of", "cases", schema=SCHEMA)
    for column in _MOVED:
        op.drop_column("cases", column, schema=_schema())
    op.add_column("cases", sa.Column("due_at", UtcDateTime()), schema=_schema())
    revision_column = sa.Column("revision", sa.Integer(), nullable=False, server_default="0")
    op.add_column("cases", revision_column, schema=_schema())
    due = sa.select(sa.func.min(_TIMERS.c.due_at)).where(_TIMERS.c.case_id == _CASES.c.id)
    op.execute(sa.update(_CASES).values(due_at=due.scalar_subquery()))
    _index("ix_cases_due_at", "cases", ["due_at"], "due_at IS NOT NULL")
    if _on_postgres():
        op.execute("ALTER TABLE dispatch.cases ALTER revision DROP DEFAULT")
        op.execute("ALTER TABLE dispatch.cases SET (fillfactor = 45)")


def _make_steps() -> None:
    op.create_table(
        "steps",
        sa.Column("xid", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("case_id", Key, nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("recorded_at", UtcDateTime(), nullable=False),
        sa.Column("entry", sa.LargeBinary(), nullable=False),
        sa.Column("body", sa.LargeBinary()),
        sa.Column("caller", Key),
        sa.Column("key", Key),
        sa.Column("digest", sa.Text()),
        sa.PrimaryKeyConstraint("xid", "position", name="pk_steps"),
        schema=SCHEMA,
    )
    for rows in _bites(_HISTORY, "position"):
        op.get_bind().execute(sa.insert(_STEPS), [_step_row(row) for row in rows])
    _index("uq_steps_case_id", "steps", ["case_id", "seq"], unique=True)
    _index("uq_steps_key", "steps", ["caller", "key"], "key IS NOT NULL", unique=True)
    _index("ix_steps_body", "steps", ["recorded_at"], "body IS NOT NULL")
    _keep_keys()


def _step_row(row: Mapping[str, Any]) -> dict[str, Any]:
    entry = ("seq", "action", "from_state", "to_state", "at", "recorded_at", "actor", "recorded_by", "data")
    kept = ("xid", "position", "case_id", "seq", "recorded_at")
    return {**{name: row[name] for name in kept}, "entry": _encoder.encode({n: row[n] for n in entry})}


def _keep_keys() -> None:
    """A key goes to the step that its reply showed; where two showed the same one, the first keeps it."""
    steps = _STEPS.c
    for rows in _bites(_KEYS, "caller", "key"):
        for row in rows:
            case_id = msgspec.json.decode(row["answer"])["id"]
            is_step = sa.and_(steps.case_id == case_id, steps.seq == row["version"], steps.key.is_(None))
            names = ("caller", "key", "digest")
            op.get_bind().execute(
                sa.update(_STEPS).where(is_step).values({name: row[name] for name in names})
            )


def downgrade() -> None:
    """The replies to keys are not stored any more: the keys are forgotten."""
    _make_history()
    op.create_table(
        "timers",
        sa.Column("case_id", Key, nullable=False),
        sa.Column("name", Key, nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("case_id", "name", name="pk_timers"),
        schema=SCHEMA,
    )
    due = sa.select(_CASES.c.id, sa.literal("check"), _CASES.c.due_at).where(_CASES.c.due_at.is_not(None))
    op.execute(sa.insert(_TIMERS).from_select(["case_id", "name", "due_at"], due))
    _index("ix_timers_due_at", "timers", ["due_at"])
    op.create_table(
        "action_keys",
        sa.Column("caller", Key, nullable=False),
        sa.Column("key", Key, nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=False),
        sa.Column("recorded_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("caller", "key", name="pk_action_keys"),
        schema=SCHEMA,
    )
    _index("ix_action_keys_recorded_at", "action_keys", ["recorded_at"])
    _widen_cases()
    for table in ("steps", "case_requests"):
        op.drop_table(table, schema=SCHEMA)


def _make_history() -> None:
    op.create_table(
        "case_history",
        sa.Column(
            "position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), sa.Identity(always=False)
        ),
        sa.Column("xid", sa.BigInteger(), nullable=False),
        sa.Column("case_id", Key, nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("action", Key, nullable=False),
        sa.Column("from_state", Key),
        sa.Column("to_state", Key, nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("recorded_at", UtcDateTime(), nullable=False),
        sa.Column("actor", Key, nullable=False),
        sa.Column("recorded_by", Key, nullable=False),
        sa.Column("data", Json, nullable=False),
        sa.PrimaryKeyConstraint("position", name="pk_case_history"),
        schema=SCHEMA,
    )
    for rows in _bites(_STEPS, "xid", "position"):
        op.get_bind().execute(sa.insert(_HISTORY), [_history_row(row) for row in rows])
    _index("uq_case_history_case_id", "case_history", ["case_id", "seq"], unique=True)
    _index("ix_case_history_xid", "case_history", ["xid", "position"])


class _Entry(msgspec.Struct):
    seq: int
    action: str
    from_state: str | None
    to_state: str
    at: datetime
    recorded_at: datetime
    actor: str
    recorded_by: str
    data: dict[str, Any] = {}


def _history_row(row: Mapping[str, Any]) -> dict[str, Any]:
    entry = msgspec.json.decode(row["entry"], type=_Entry)
    xid = row["xid"] if _on_postgres() else 0
    return {**msgspec.structs.asdict(entry), "xid": xid, "case_id": row["case_id"]}


def _widen_cases() -> None:
    op.drop_index("ix_cases_due_at", "cases", schema=SCHEMA)
    for column in ("due_at", "revision"):
        op.drop_column("cases", column, schema=_schema())
    for name in ("number", "source", "words"):
        column = sa.Column(name, sa.Text() if name == "words" else Key, nullable=False, server_default="")
        op.add_column("cases", column, schema=_schema())
    for name in ("reference", "rework_of"):
        op.add_column("cases", sa.Column(name, Key), schema=_schema())
    papers = sa.Column("papers", sa.LargeBinary(), nullable=False, server_default=sa.text("''"))
    op.add_column("cases", papers, schema=_schema())
    names = {"number": "number", "source": "source", "words": "words", "papers": "body",
             "reference": "reference", "rework_of": "rework_of"}  # fmt: skip
    said = {
        name: sa.select(_REQUESTS.c[of]).where(_REQUESTS.c.id == _CASES.c.id).scalar_subquery()
        for name, of in names.items()
    }
    op.execute(sa.update(_CASES).values(said))
    _index("ix_cases_property", "cases", ["property", "id"])
    _index("ix_cases_number", "cases", ["number"])
    _index("ix_cases_open_state", "cases", ["property", "kind", "state"], "is_open")
    _index("ix_cases_busy", "cases", ["property", "assignee"], "is_busy")
    _index("ix_cases_reference", "cases", ["property", "source", "reference"], "reference IS NOT NULL")
    _index("uq_cases_rework_of", "cases", ["rework_of"], "rework_of IS NOT NULL", unique=True)
    if _on_postgres():
        op.execute("ALTER TABLE dispatch.cases RESET (fillfactor)")


def _bites(table: sa.Table, *key: str) -> Iterator[Sequence[Mapping[str, Any]]]:
    """The rows of `table` in the order of `key`, so many at a time."""
    columns = [table.c[name] for name in key]
    rows: Sequence[Mapping[str, Any]] = ()
    while True:
        query = sa.select(table).order_by(*columns).limit(_BITE)
        if rows:
            query = query.where(sa.tuple_(*columns) > sa.tuple_(*(rows[-1][name] for name in key)))
        rows = op.get_bind().execute(query).mappings().all()
        if not rows:
            return
        yield rows


def _index(name: str, table: str, columns: list[str], where: str | None = None, unique: bool = False) -> None:
    condition = {} if where is None else {"postgresql_where": sa.text(where), "sqlite_where": sa.text(where)}
    op.create_index(name, table, columns, schema=SCHEMA, unique=unique, **condition)


def _schema() -> str | None:
    """Of a statement that no schema is translated in: SQLite has a file for each service instead."""
    return SCHEMA if _on_postgres() else None


def _on_postgres() -> bool:
    return op.get_bind().dialect.name == "postgresql"
