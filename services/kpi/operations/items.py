"""What kpi does: takes batches of facts and cases, and stores the items that follow from them.

Items are always made anew from all that is stored about a subject: order and duplicates can't matter."""

from binascii import crc32
from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec
from sqlalchemy import ARRAY, Integer, and_, bindparam, delete, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.kpi.domain.case_items import case_items
from services.kpi.domain.fact_subjects import items_from_facts, subject_of
from services.kpi.domain.items import FactSubject, Item
from services.kpi.domain.timelines import Fact
from services.kpi.models import cases, facts, items, revisions
from services.kpi.queries.fact_log import (
    bills_paid_by,
    cases_after,
    facts_about,
    stored_items,
    subjects_after,
)
from shared.database.bulk import BulkDelete, BulkInsert, any_of
from shared.host import Host
from shared.messages.cloudevents import Event, encode
from shared.messages.events import CaseState
from shared.messages.facts import FeePaid

BITE = 1000
"""How many subjects a rebuild takes at a time."""
Row = dict[str, str | int | bytes | None]

_FACTS = BulkInsert(facts, lambda insert: insert.on_conflict_do_nothing())
_CASES = BulkInsert(
    cases,
    lambda insert: insert.on_conflict_do_update(
        index_elements=[cases.c.property, cases.c.case_id],
        set_={name: insert.excluded[name] for name in ("number", "version", "body")},
        where=cases.c.version < insert.excluded.version,
    ).returning(cases.c.property, cases.c.case_id),
)
_ITEMS = BulkInsert(items)
_STALE = BulkDelete(items, ("property", "kind", "thing"))
_LOCK = select(func.pg_advisory_xact_lock(1802530153, func.unnest(bindparam("keys", type_=ARRAY(Integer)))))
"""In the order of the keys; the first number tells these locks from others in the database."""
_REVISIONS = BulkInsert(
    revisions,
    lambda insert: insert.on_conflict_do_update(
        index_elements=[revisions.c.property], set_={"revision": revisions.c.revision + 1}
    ),
)


async def record_facts(connection: AsyncConnection, events: Sequence[Event[Fact]]) -> None:
    """Log facts and bring the items of what they are about up to date. Taken again, nothing changes."""
    await lock_properties(connection, {fact.data.property for fact in events})
    in_order = sorted(events, key=lambda fact: (fact.source, fact.id))
    await _FACTS.execute(connection, [_fact_row(fact) for fact in in_order])
    await recount_items(connection, {subject_of(fact) for fact in events})


async def record_cases(connection: AsyncConnection, states: Sequence[CaseState]) -> None:
    """Store the highest version of every case, and its items."""
    latest = {(c.property, c.case): c for c in sorted(states, key=lambda c: c.version)}
    rows = [_case_row(latest[key]) for key in sorted(latest)]  # one order for all copies: no deadlocks
    newer = await _CASES.execute(connection, rows)
    await replace_items(connection, {FactSubject(p, "case", c): case_items(latest[p, c]) for p, c in newer})


async def lock_properties(connection: AsyncConnection, properties: Iterable[str]) -> None:
    """Let nobody else change facts of these properties until the end of the transaction.

    Two batches about one subject would miss each other's facts. On SQLite there is one writer anyway."""
    if connection.dialect.name == "postgresql":
        keys = sorted({crc32(name.encode()) - 2**31 for name in properties})
        await connection.execute(_LOCK, {"keys": keys})


async def recount_items(connection: AsyncConnection, subjects: Iterable[FactSubject]) -> None:
    """Make the items of `subjects` anew from the log; of payments, those of the bills they are towards."""
    touched = set(subjects)
    payments = {subject for subject in touched if subject.kind == "payment"}
    counted = (touched - payments) | await bills_paid_by(connection, payments)
    await replace_items(connection, items_from_facts(counted, await facts_about(connection, counted)))


async def replace_items(connection: AsyncConnection, latest: Mapping[FactSubject, Sequence[Item]]) -> None:
    """Store these items of these subjects and no others; what is already so stays untouched."""
    stored = await stored_items(connection, latest)
    changed = {subject: made for subject, made in latest.items() if stored.get(subject, []) != made}
    stale = [_subject_columns(subject) for subject in sorted(changed) if subject in stored]
    if stale:
        await _STALE.execute(connection, stale)
    rows = [
        _item_row(subject, seq, item)
        for subject, made in sorted(changed.items())
        for seq, item in enumerate(made)
    ]
    if rows:
        await _ITEMS.execute(connection, rows)
    await raise_revisions(connection, {subject.property for subject in changed})


async def raise_revisions(connection: AsyncConnection, properties: Collection[str]) -> None:
    """Tell whoever counts that items of these properties changed.

    The last statement of its transaction: the rows are locked for a moment only, in one order."""
    if properties:
        rows = [{"property": name, "revision": 1} for name in sorted(properties)]
        await _REVISIONS.execute(connection, rows)


async def rebuild_items(service: Host) -> int:
    """Make every item anew from the log and the cases, in bites; how many subjects were counted.

    Each bite is right by itself: figures are served meanwhile. Items of what is not stored are removed."""
    async with service.database.transaction() as connection:
        await _delete_orphans(connection)
    return await _rebuild_subjects(service) + await _rebuild_cases(service)


async def _delete_orphans(connection: AsyncConnection) -> None:
    """Remove items of subjects that stand neither in the log nor among the cases."""
    in_log = exists().where(
        facts.c.property == items.c.property, facts.c.kind == items.c.kind, facts.c.thing == items.c.thing
    )
    in_cases = exists().where(cases.c.property == items.c.property, cases.c.case_id == items.c.thing)
    of_case = items.c.kind == "case"
    orphaned = or_(and_(of_case, ~in_cases), and_(~of_case, ~in_log))
    properties = set(await connection.scalars(select(items.c.property).where(orphaned).distinct()))
    if properties:
        await lock_properties(connection, properties)
        of_these = any_of(connection, items.c.property, properties)
        await connection.execute(delete(items).where(of_these, orphaned))
        await raise_revisions(connection, properties)


async def _rebuild_subjects(service: Host) -> int:
    count, last = 0, FactSubject("", "", "")
    while True:
        async with service.database.transaction() as connection:
            subjects = await subjects_after(connection, last, BITE)
            if not subjects:
                return count
            await lock_properties(connection, {subject.property for subject in subjects})
            await recount_items(connection, [s for s in subjects if s.kind != "payment"])
        count, last = count + len(subjects), subjects[-1]


async def _rebuild_cases(service: Host) -> int:
    count, last = 0, ("", "")
    while True:
        async with service.database.transaction() as connection:
            states = await cases_after(connection, last, BITE)
            if not states:
                return count
            await replace_items(
                connection, {FactSubject(c.property, "case", c.case): case_items(c) for c in states}
            )
        count, last = count + len(states), (states[-1].property, states[-1].case)


def _fact_row(fact: Event[Fact]) -> Row:
    bill = fact.data.bill if isinstance(fact.data, FeePaid) else None
    return {
        "source": fact.source,
        "id": fact.id,
        "bill": bill,
        "body": encode(fact),
        **_subject_columns(subject_of(fact)),
    }


def _case_row(state: CaseState) -> Row:
    return {
        "property": state.property,
        "case_id": state.case,
        "number": state.number,
        "version": state.version,
        "body": msgspec.json.encode(state),
    }


def _item_row(subject: FactSubject, seq: int, item: Item) -> Row:
    return {
        **_subject_columns(subject),
        "seq": seq,
        "family": item.family,
        "counted_at": item.counted_at,
        "since": item.since,
        "until": item.until,
        "weight": item.denominator,
        "good": item.numerator,
        "case_id": item.case,
    }


def _subject_columns(subject: FactSubject) -> dict[str, str]:
    return {"property": subject.property, "kind": subject.kind, "thing": subject.id}
