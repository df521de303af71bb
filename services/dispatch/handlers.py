"""What dispatch listens to: demands, facts that open work, follow-ups; each as a set in one transaction."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from services.dispatch.domain.commands import ConcludeFollowUp
from services.dispatch.operations import demands, facts
from services.dispatch.operations.case_commands import execute_commands
from shared.errors import NotFound
from shared.ids import new_id
from shared.messages.cloudevents import Event
from shared.messages.events import DemandAccepted, FollowUpDone
from shared.messages.facts import (
    DemandWithdrawn,
    EquipmentRegistered,
    EquipmentState,
    InspectionRecorded,
    ResidentRegistered,
)
from shared.messaging.consumer import RetryLater, Subscription


async def handle_demands(service: Any, connection: AsyncConnection, events: Sequence[Event]) -> None:
    """Demands were accepted or taken back."""
    await demands.open_and_withdraw(connection, service, events, service.clock.now())


async def handle_facts(service: Any, connection: AsyncConnection, events: Sequence[Event]) -> None:
    """Equipment, inspections, residents."""
    await facts.record_facts(connection, service, events, service.clock.now())


async def handle_follow_ups(service: Any, connection: AsyncConnection, events: Sequence[Event]) -> None:
    """Follow-ups are done: their cases close, dissatisfied answers open reworks."""
    commands = [ConcludeFollowUp(done=event.data, rework=new_id(), trace=event.trace) for event in events]
    outcomes = await execute_commands(connection, service, commands, service.clock.now())
    for outcome in outcomes:
        if isinstance(outcome, NotFound):
            raise RetryLater("its case is not here yet")
        if outcome is not None:
            raise outcome


SUBSCRIPTIONS = (
    Subscription("dispatch.demands", (DemandAccepted, DemandWithdrawn), handle_demands),
    Subscription(
        "dispatch.facts",
        (EquipmentRegistered, EquipmentState, InspectionRecorded, ResidentRegistered),
        handle_facts,
    ),
    Subscription("dispatch.followups", (FollowUpDone,), handle_follow_ups),
)
