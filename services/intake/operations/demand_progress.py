"""Records the states of demands' cases; publishes demands without a case once more."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.intake import queries
from services.intake.models import case_states, events
from services.intake.operations.publication import make_event
from services.intake.queries import UNACCOUNTED_AFTER
from shared.database.bulk import BulkInsert, BulkUpdate, any_of
from shared.messages.events import CaseState
from shared.messaging.outbox import Outbox

_UPDATED_COLUMNS = ("version", "number", "state", "open", "deadlines", "changed_at")
_SAVE_STATES = BulkInsert(
    case_states,
    lambda insert: insert.on_conflict_do_update(
        index_elements=["case"],
        set_={name: insert.excluded[name] for name in _UPDATED_COLUMNS},
        where=case_states.c.version < insert.excluded.version,
    ),
)

_POSTPONE = BulkUpdate(events, ("source", "id"), ("republish_at",))
_LONGEST_WAIT = timedelta(hours=1)


async def save_case_states(connection: AsyncConnection, states: Sequence[CaseState]) -> None:
    """Save the states of cases: the highest version of each case is kept, whatever the order."""
    latest: dict[str, CaseState] = {}
    for state in states:
        if state.case not in latest or latest[state.case].version < state.version:
            latest[state.case] = state
    ids = sorted(latest)  # one order for all copies: no deadlocks
    rows = [
        {
            "case": case,
            "version": latest[case].version,
            "number": latest[case].number,
            "state": latest[case].state,
            "open": latest[case].open,
            "deadlines": msgspec.to_builtins(latest[case].deadlines),
            "changed_at": latest[case].entry.recorded_at,
        }
        for case in ids
    ]
    await _SAVE_STATES.execute(connection, rows)
    opened = update(events).where(
        any_of(connection, events.c.demand, ids), events.c.republish_at.is_not(None)
    )
    await connection.execute(opened.values(republish_at=None))


async def republish_lost_demands(
    connection: AsyncConnection, outbox: Outbox, now: datetime, limit: int = 500
) -> int:
    """Publish again what has had no case for a while; the inbox makes a repetition harmless.

    The next time is as far away as the acceptance, so that queues that nobody reads are not filled.
    """
    lost = await queries.lock_lost_demands(connection, now, limit)
    if not lost:
        return 0
    await outbox.record(connection, *(make_event(demand) for demand in lost))
    rows = [
        {"source": demand.source, "id": demand.id, "republish_at": now + _wait(now - demand.accepted_at)}
        for demand in lost
    ]
    await _POSTPONE.execute(connection, rows)
    return len(lost)


def _wait(age: timedelta) -> timedelta:
    return max(UNACCOUNTED_AFTER, min(age, _LONGEST_WAIT))
