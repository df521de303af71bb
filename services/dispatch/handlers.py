"""What dispatch listens to: demands, facts that open work, follow-ups; each as a set in one transaction."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from services.dispatch import operations
from services.dispatch.commands import Conclude
from shared.errors import NotFound
from shared.ids import new_id
from shared.messages import (
    DemandAccepted,
    DemandWithdrawn,
    EquipmentRegistered,
    EquipmentState,
    Event,
    FollowUpDone,
    InspectionRecorded,
    ResidentRegistered,
)
from shared.receiver import Retry, Subscription


async def take_demands(service: Any, connection: AsyncConnection, events: Sequence[Event]) -> None:
    """Demands were accepted or taken back."""
    await operations.take_demands(connection, service, events, service.clock.now())


async def take_facts(service: Any, connection: AsyncConnection, events: Sequence[Event]) -> None:
    """Equipment, inspections, residents."""
    await operations.take_facts(connection, service, events, service.clock.now())


async def take_follow_ups(service: Any, connection: AsyncConnection, events: Sequence[Event]) -> None:
    """Follow-ups are done: their cases close, dissatisfied answers open reworks."""
    commands = [Conclude(done=event.data, rework=new_id(), trace=event.trace) for event in events]
    outcomes = await operations.apply(connection, service, commands, service.clock.now())
    for outcome in outcomes:
        if isinstance(outcome, NotFound):
            raise Retry("its case is not here yet")
        if outcome is not None:
            raise outcome


SUBSCRIPTIONS = (
    Subscription("dispatch.demands", (DemandAccepted, DemandWithdrawn), take_demands),
    Subscription(
        "dispatch.facts",
        (EquipmentRegistered, EquipmentState, InspectionRecorded, ResidentRegistered),
        take_facts,
    ),
    Subscription("dispatch.followups", (FollowUpDone,), take_follow_ups),
)
