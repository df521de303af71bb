"""What kpi does: takes sets of facts and cases, and keeps the items that follow from them.

Items are always made anew from everything that is known of a thing, so order and duplicates can't matter."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from services.kpi.domain.case_items import case_items
from services.kpi.domain.fact_subjects import items_from_facts, subject_of
from services.kpi.domain.items import FactSubject, Item
from services.kpi.models import cases, facts, items, revisions
from services.kpi.queries.fact_log import (
    bills_paid_by,
    cases_after,
    delete_orphans,
    facts_about,
    stored_items,
    subjects_after,
)
from shared.database.bulk import BulkDelete, BulkInsert
from shared.host import Host
from shared.messages.cloudevents import Event, encode
from shared.messages.events import CaseState
from shared.messages.facts import FeePaid

BITE = 1000
"""How many things a rebuild takes at a time."""

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
_HELD = BulkInsert(
    revisions,
    lambda insert: insert.on_conflict_do_update(
        index_elements=[revisions.c.property], set_={"revision": revisions.c.revision + 1}
    ),
)


async def record_facts(connection: AsyncConnection, told: Sequence[Event]) -> None:
    """Log facts and bring the items of what they are about up to date. Told again, nothing changes."""
    await lock_properties(connection, {fact.data.property for fact in told})
    rows = sorted((_fact_row(fact) for fact in told), key=lambda row: (row["source"], row["id"]))
    await _FACTS.run(connection, rows)
    await recount_items(connection, {subject_of(fact) for fact in told})


async def record_cases(connection: AsyncConnection, told: Sequence[CaseState]) -> None:
    """Keep the highest version of every case, and its items."""
    latest = {(c.property, c.case): c for c in sorted(told, key=lambda c: c.version)}
    rows = [_case_row(latest[key]) for key in sorted(latest)]  # one order for all copies: no deadlocks
    won = await _CASES.run(connection, rows)
    await replace_items(connection, {FactSubject(p, "case", c): case_items(latest[p, c]) for p, c in won})


async def lock_properties(connection: AsyncConnection, properties: Iterable[str]) -> None:
    """Let nobody else change facts of these properties until the end of the transaction."""
    await _HELD.run(connection, [{"property": name, "revision": 1} for name in sorted(properties)])


async def recount_items(connection: AsyncConnection, things: Iterable[FactSubject]) -> None:
    """Make the items of `things` anew from the log; of payments, those of the bills that they are towards."""
    named = set(things)
    payments = {thing for thing in named if thing.kind == "payment"}
    counted = (named - payments) | await bills_paid_by(connection, payments)
    await replace_items(connection, items_from_facts(counted, await facts_about(connection, counted)))


async def replace_items(connection: AsyncConnection, wanted: Mapping[FactSubject, Sequence[Item]]) -> None:
    """Keep these items of these things and no others; what is already so stays untouched."""
    kept = await stored_items(connection, wanted)
    changed = {thing: made for thing, made in wanted.items() if kept.get(thing, []) != made}
    stale = [_subject_columns(thing) for thing in sorted(changed) if thing in kept]
    if stale:
        await _STALE.run(connection, stale)
    rows = [
        _row(thing, seq, item) for thing, made in sorted(changed.items()) for seq, item in enumerate(made)
    ]
    if rows:
        await _ITEMS.run(connection, rows)


async def rebuild_items(service: Host) -> int:
    """Make every item anew from the log and the cases, in bites; how many things were counted.

    Each bite is right by itself: figures are served meanwhile. Items of unknown things are removed."""
    async with service.database.transaction() as connection:
        await connection.execute(delete_orphans())
    return await _rebuild_subjects(service) + await _rebuild_cases(service)


async def _rebuild_subjects(service: Host) -> int:
    count, last = 0, FactSubject("", "", "")
    while True:
        async with service.database.transaction() as connection:
            things = await subjects_after(connection, last, BITE)
            if not things:
                return count
            await lock_properties(connection, {thing.property for thing in things})
            await recount_items(connection, [thing for thing in things if thing.kind != "payment"])
        count, last = count + len(things), things[-1]


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


def _fact_row(fact: Event) -> dict[str, Any]:
    thing = subject_of(fact)
    bill = fact.data.bill if isinstance(fact.data, FeePaid) else None
    return {
        "source": fact.source,
        "id": fact.id,
        "bill": bill,
        "body": encode(fact),
        **_subject_columns(thing),
    }


def _case_row(state: CaseState) -> dict[str, Any]:
    return {
        "property": state.property,
        "case_id": state.case,
        "number": state.number,
        "version": state.version,
        "body": msgspec.json.encode(state),
    }


def _row(thing: FactSubject, seq: int, item: Item) -> dict[str, Any]:
    fields = msgspec.structs.asdict(item)
    return {**_subject_columns(thing), "seq": seq, "case_id": fields.pop("case"), **fields}


def _subject_columns(thing: FactSubject) -> dict[str, str]:
    return {"property": thing.property, "kind": thing.kind, "thing": thing.id}
