"""What dispatch listens to: demands, facts that open work, follow-ups; each batch in one transaction."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncConnection

from services.dispatch.domain.commands import ConcludeFollowUp
from services.dispatch.operations import demands, facts
from services.dispatch.operations.case_commands import execute_commands
from services.dispatch.operations.context import DispatchContext
from shared.errors import NotFound
from shared.ids import new_id
from shared.messages.cloudevents import Event, select_events
from shared.messages.events import DemandAccepted, FollowUpDone
from shared.messages.facts import DemandWithdrawn
from shared.messaging.consumer import RetryLater, Subscription

DEMANDS = "dispatch.demands"


def subscriptions(context: DispatchContext) -> tuple[Subscription[Any], ...]:
    """The queues of dispatch."""

    async def handle_demands(events: Sequence[Event[Struct]]) -> None:
        await open_and_withdraw(context, events)

    async def handle_facts(connection: AsyncConnection, events: Sequence[Event[Struct]]) -> None:
        await facts.record_facts(connection, context, events, context.clock.now())

    async def handle_follow_ups(connection: AsyncConnection, events: Sequence[Event[FollowUpDone]]) -> None:
        await conclude_follow_ups(context, connection, events)

    return (
        Subscription(DEMANDS, handle_versioned=handle_demands),
        Subscription("dispatch.facts", handle_facts),
        Subscription("dispatch.followups", handle_follow_ups),
    )


async def open_and_withdraw(context: DispatchContext, events: Sequence[Event[Struct]]) -> None:
    """Demands are accepted or taken back. A case is opened once by its id; a withdrawal needs the inbox."""
    accepted, withdrawn = select_events(events, DemandAccepted), select_events(events, DemandWithdrawn)
    if withdrawn:
        async with context.database.transaction() as connection:
            fresh = await context.inbox.once(connection, DEMANDS, withdrawn)
            await demands.withdraw_demands(connection, context, fresh, context.clock.now())
    if accepted:
        await demands.open_cases(context, accepted)


async def conclude_follow_ups(
    context: DispatchContext, connection: AsyncConnection, events: Sequence[Event[FollowUpDone]]
) -> None:
    """Follow-ups are done: their cases close, dissatisfied answers open reworks."""
    commands = [ConcludeFollowUp(done=event.data, rework=new_id(), trace=event.trace) for event in events]
    outcomes = await execute_commands(connection, context, commands, context.clock.now())
    for outcome in outcomes:
        if isinstance(outcome, NotFound):
            raise RetryLater("its case is not here yet")
        if outcome is not None:
            raise outcome
