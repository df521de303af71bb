"""What kpi does: takes sets of facts and cases, and keeps the items that follow from them.

Items are always made anew from everything that is known of a thing, so order and duplicates can't matter."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from services.kpi import queries
from services.kpi.cases import case_items
from services.kpi.items import Item, Thing
from services.kpi.models import cases, facts, items, revisions
from services.kpi.things import items_of, thing_of
from shared.messages import CaseState, Event, FeePaid, encode
from shared.rows import Insertion, Removal
from shared.service import Service

BITE = 1000
"""How many things a rebuild takes at a time."""

_FACTS = Insertion(facts, lambda insert: insert.on_conflict_do_nothing())
_CASES = Insertion(
    cases,
    lambda insert: insert.on_conflict_do_update(
        index_elements=[cases.c.property, cases.c.case_id],
        set_={name: insert.excluded[name] for name in ("number", "version", "body")},
        where=cases.c.version < insert.excluded.version,
    ).returning(cases.c.property, cases.c.case_id),
)
_ITEMS = Insertion(items)
_STALE = Removal(items, ("property", "kind", "thing"))
_HELD = Insertion(
    revisions,
    lambda insert: insert.on_conflict_do_update(
        index_elements=[revisions.c.property], set_={"revision": revisions.c.revision + 1}
    ),
)


async def take_facts(connection: AsyncConnection, told: Sequence[Event]) -> None:
    """Log facts and bring the items of what they are about up to date. Told again, nothing changes."""
    await hold(connection, {fact.data.property for fact in told})
    rows = sorted((_logged(fact) for fact in told), key=lambda row: (row["source"], row["id"]))
    await _FACTS.run(connection, rows)
    await recount(connection, {thing_of(fact) for fact in told})


async def take_cases(connection: AsyncConnection, told: Sequence[CaseState]) -> None:
    """Keep the highest version of every case, and its items."""
    latest = {(c.property, c.case): c for c in sorted(told, key=lambda c: c.version)}
    rows = [_kept(latest[key]) for key in sorted(latest)]  # one order for all copies: no deadlocks
    won = await _CASES.run(connection, rows)
    await replace_items(connection, {Thing(p, "case", c): case_items(latest[p, c]) for p, c in won})


async def hold(connection: AsyncConnection, properties: Iterable[str]) -> None:
    """Let nobody else change facts of these properties until the end of the transaction."""
    await _HELD.run(connection, [{"property": name, "revision": 1} for name in sorted(properties)])


async def recount(connection: AsyncConnection, things: Iterable[Thing]) -> None:
    """Make the items of `things` anew from the log; of payments, those of the bills that they are towards."""
    named = set(things)
    payments = {thing for thing in named if thing.kind == "payment"}
    counted = (named - payments) | await queries.bills_of(connection, payments)
    await replace_items(connection, items_of(counted, await queries.told(connection, counted)))


async def replace_items(connection: AsyncConnection, wanted: Mapping[Thing, Sequence[Item]]) -> None:
    """Keep these items of these things and no others; what is already so stays untouched."""
    kept = await queries.items_of(connection, wanted)
    changed = {thing: made for thing, made in wanted.items() if kept.get(thing, []) != made}
    stale = [_named(thing) for thing in sorted(changed) if thing in kept]
    if stale:
        await _STALE.run(connection, stale)
    rows = [
        _row(thing, seq, item) for thing, made in sorted(changed.items()) for seq, item in enumerate(made)
    ]
    if rows:
        await _ITEMS.run(connection, rows)


async def rebuild(service: Service) -> int:
    """Make every item anew from the log and the cases, in bites; how many things were counted.

    Each bite is right by itself: figures are served meanwhile. Items of unknown things are removed."""
    async with service.database.begin() as connection:
        await connection.execute(queries.orphans())
    return await _rebuild_things(service) + await _rebuild_cases(service)


async def _rebuild_things(service: Service) -> int:
    count, last = 0, Thing("", "", "")
    while True:
        async with service.database.begin() as connection:
            things = await queries.things_after(connection, last, BITE)
            if not things:
                return count
            await hold(connection, {thing.property for thing in things})
            await recount(connection, [thing for thing in things if thing.kind != "payment"])
        count, last = count + len(things), things[-1]


async def _rebuild_cases(service: Service) -> int:
    count, last = 0, ("", "")
    while True:
        async with service.database.begin() as connection:
            states = await queries.cases_after(connection, last, BITE)
            if not states:
                return count
            await replace_items(
                connection, {Thing(c.property, "case", c.case): case_items(c) for c in states}
            )
        count, last = count + len(states), (states[-1].property, states[-1].case)


def _logged(fact: Event) -> dict[str, Any]:
    thing = thing_of(fact)
    bill = fact.data.bill if isinstance(fact.data, FeePaid) else None
    return {"source": fact.source, "id": fact.id, "bill": bill, "body": encode(fact), **_named(thing)}


def _kept(state: CaseState) -> dict[str, Any]:
    return {
        "property": state.property,
        "case_id": state.case,
        "number": state.number,
        "version": state.version,
        "body": msgspec.json.encode(state),
    }


def _row(thing: Thing, seq: int, item: Item) -> dict[str, Any]:
    fields = msgspec.structs.asdict(item)
    return {**_named(thing), "seq": seq, "case_id": fields.pop("case"), **fields}


def _named(thing: Thing) -> dict[str, str]:
    return {"property": thing.property, "kind": thing.kind, "thing": thing.id}
