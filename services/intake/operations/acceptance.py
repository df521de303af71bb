"""What intake does: accepts sets of offers, follows demands, asks again for lost ones, issues keys."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec
from msgspec import Struct
from sqlalchemy import insert, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.intake.domain.incoming_event import IncomingEvent
from services.intake.models import api_keys, case_states, demands, events
from shared.auth import Identity
from shared.database.bulk import BulkInsert
from shared.errors import Conflict, NotFound
from shared.ids import new_id
from shared.messages.cloudevents import Event
from shared.messages.events import CaseState, DemandAccepted, KeyRevoked
from shared.messages.facts import DATA_DECODERS, DemandRaised
from shared.messaging.outbox import Outbox
from shared.telemetry import current_trace

OUR_SOURCE = "guanjia/intake"
_EVENTS = BulkInsert(
    events,
    lambda insert: insert.on_conflict_do_nothing().returning(events.c.source, events.c.id),
)
_DEMANDS = BulkInsert(demands, without=("opened_at",))
_STATE = ("version", "number", "state", "open", "deadlines", "changed_at")
_STATES = BulkInsert(
    case_states,
    lambda insert: insert.on_conflict_do_update(
        index_elements=["case"],
        set_={name: insert.excluded[name] for name in _STATE},
        where=case_states.c.version < insert.excluded.version,
    ),
)
UNACCOUNTED_AFTER = timedelta(seconds=30)


class Acceptance(Struct, frozen=True, omit_defaults=True):
    """The answer to an offer."""

    status: Literal["accepted", "duplicate"]
    source: str
    id: str
    demand: str | None = None


class EventConflict(Conflict):
    """An event of this name was accepted with other content; the first one stands."""

    title = "An event of this source and id was accepted with other content"
    title_zh = "同一 source 与 id 的事件已以不同内容被接受"


class PendingEvent(Struct, frozen=True):
    """An offer with the identifier that its demand gets if it is new, and the trace it came with."""

    offer: IncomingEvent
    demand: str | None
    trace: str | None


def prepare_event(offer: IncomingEvent) -> PendingEvent:
    """`offer`, ready to be accepted."""
    return PendingEvent(offer, new_id() if offer.is_demand else None, current_trace())


async def accept_events(
    connection: AsyncConnection, outbox: Outbox, members: Sequence[PendingEvent], now: datetime
) -> list[Acceptance | Exception]:
    """Accept each member once, in one transaction: the event, its demand and an outbox row. Order is kept.

    A member whose name was taken is a duplicate where it says the same, else an `AlreadyOtherwise`.
    """
    firsts: dict[tuple[str, str], PendingEvent] = {}
    for member in members:
        firsts.setdefault(member.offer.name, member)
    fresh = await _insert_events(connection, [firsts[name] for name in sorted(firsts)], now)
    known = await _get_existing(connection, [name for name in firsts if name not in fresh])
    await _insert_demands(connection, [firsts[name] for name in fresh if firsts[name].demand], now)
    await outbox.record(
        connection, *(_published_event(firsts[name], now) for name in firsts if name in fresh)
    )
    return [_acceptance_of(member, firsts, fresh, known) for member in members]


def _acceptance_of(
    member: PendingEvent,
    firsts: dict[tuple[str, str], PendingEvent],
    fresh: set[tuple[str, str]],
    known: dict[tuple[str, str], tuple[bytes, str | None]],
) -> Acceptance | Exception:
    name = member.offer.name
    first = firsts[name]
    if name in fresh:
        digest, demand = first.offer.digest, first.demand
    else:
        digest, demand = known[name]
    if digest != member.offer.digest:
        return EventConflict()
    is_new = name in fresh and member is first
    return Acceptance("accepted" if is_new else "duplicate", *name, demand)


async def _insert_events(
    connection: AsyncConnection, members: Sequence[PendingEvent], now: datetime
) -> set[tuple[str, str]]:
    rows = [
        {
            "source": m.offer.source,
            "id": m.offer.id,
            "type": m.offer.type,
            "property": m.offer.data.property,
            "time": m.offer.time,
            "digest": m.offer.digest,
            "demand": m.demand,
            "data": msgspec.json.encode(m.offer.data),
            "accepted_at": now,
            "accepted_by": m.offer.by,
        }
        for m in members
    ]
    return {(source, id_) for source, id_ in await _EVENTS.run(connection, rows)}


async def _get_existing(
    connection: AsyncConnection, names: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], tuple[bytes, str | None]]:
    if not names:
        return {}
    query = select(events.c.source, events.c.id, events.c.digest, events.c.demand)
    found = await connection.execute(query.where(tuple_(events.c.source, events.c.id).in_(names)))
    return {(row.source, row.id): (row.digest, row.demand) for row in found}


async def _insert_demands(
    connection: AsyncConnection, members: Sequence[PendingEvent], now: datetime
) -> None:
    if not members:
        return
    rows = [_demand_row(member.offer, member.offer.data, member.demand, now) for member in members]
    await _DEMANDS.run(connection, rows)


def _demand_row(offer: IncomingEvent, data: Any, demand: str | None, now: datetime) -> dict[str, Any]:
    return {
        "id": demand,
        "property": data.property,
        "kind": data.kind,
        "source": offer.source,
        "event": offer.id,
        "reference": data.reference,
        "accepted_by": offer.by,
        "raised_at": offer.time,
        "accepted_at": now,
        "asked_at": now,
    }


def _published_event(member: PendingEvent, now: datetime) -> Event:
    offer = member.offer
    if member.demand is not None and isinstance(offer.data, DemandRaised):
        data = make_demand_accepted(offer.data, member.demand, offer.source, offer.time, now)
        return Event.of(data, id=member.demand, source=OUR_SOURCE, time=offer.time, trace=member.trace)
    return Event(
        source=offer.source,
        id=offer.id,
        type=offer.type,
        time=offer.time,
        data=offer.data,
        trace=member.trace,
    )


def make_demand_accepted(
    raised: DemandRaised, demand: str, source: str, raised_at: datetime, accepted_at: datetime
) -> DemandAccepted:
    """The demand as dispatch is told of it."""
    told = {name: getattr(raised, name) for name in raised.__struct_fields__}
    return DemandAccepted(demand=demand, source=source, raised_at=raised_at, accepted_at=accepted_at, **told)


async def save_case_states(connection: AsyncConnection, states: Sequence[CaseState], now: datetime) -> None:
    """Note what became of demands: the highest version of each case is kept, whatever the order."""
    latest: dict[str, CaseState] = {}
    for state in states:
        if state.case not in latest or latest[state.case].version < state.version:
            latest[state.case] = state
    rows = [
        {
            "case": s.case,
            "version": s.version,
            "number": s.number,
            "state": s.state,
            "open": s.open,
            "deadlines": msgspec.to_builtins(s.deadlines),
            "changed_at": s.entry.recorded_at,
        }
        for s in sorted(latest.values(), key=lambda state: state.case)
    ]
    await _STATES.run(connection, rows)
    opened = update(demands).where(demands.c.id.in_(sorted(latest)), demands.c.opened_at.is_(None))
    await connection.execute(opened.values(opened_at=now))


async def republish_lost_demands(
    connection: AsyncConnection, outbox: Outbox, now: datetime, most: int = 500
) -> int:
    """Send once more what was accepted a while ago and has no case; the inbox makes a repetition harmless."""
    query = (
        select(demands.c.id, demands.c.source, demands.c.raised_at, demands.c.accepted_at, events.c.data)
        .join(events, (events.c.source == demands.c.source) & (events.c.id == demands.c.event))
        .where(demands.c.opened_at.is_(None), demands.c.asked_at < now - UNACCOUNTED_AFTER)
        .order_by(demands.c.asked_at)
        .limit(most)
        .with_for_update(skip_locked=True, of=demands)
    )
    lost = (await connection.execute(query)).all()
    if not lost:
        return 0
    decoder = DATA_DECODERS["guanjia.demand.raised.v1"]
    again = []
    for row in lost:
        raised: Any = decoder.decode(row.data)
        data = make_demand_accepted(raised, row.id, row.source, row.raised_at, row.accepted_at)
        again.append(Event.of(data, id=row.id, source=OUR_SOURCE, time=row.raised_at))
    await outbox.record(connection, *again)
    await connection.execute(
        update(demands).where(demands.c.id.in_([row.id for row in lost])).values(asked_at=now)
    )
    return len(lost)


async def store_key(connection: AsyncConnection, identity: Identity, by: str, now: datetime) -> None:
    """Remember that a key was issued; never the key itself."""
    await connection.execute(
        insert(api_keys).values(
            id=identity.key,
            name=identity.name,
            roles=sorted(identity.roles),
            properties=None if identity.properties is None else sorted(identity.properties),
            person=identity.person,
            issued_at=now,
            issued_by=by,
        )
    )


async def revoke_key(connection: AsyncConnection, outbox: Outbox, key: str, now: datetime) -> None:
    """The key holds no longer, anywhere. Raises `NotFound`."""
    revoked = (
        update(api_keys).where(api_keys.c.id == key, api_keys.c.revoked_at.is_(None)).values(revoked_at=now)
    )
    if (await connection.execute(revoked)).rowcount == 0:
        raise NotFound
    await outbox.record(connection, Event.of(KeyRevoked(key=key), source=OUR_SOURCE, time=now))
