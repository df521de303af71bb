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
from shared.messages.cloudevents import Event
from shared.messages.events import FollowUpDone
from shared.messaging.consumer import RetryLater, Subscription


def subscriptions(context: DispatchContext) -> tuple[Subscription[Any], ...]:
    """The queues of dispatch."""

    async def handle_demands(connection: AsyncConnection, events: Sequence[Event[Struct]]) -> None:
        await demands.open_and_withdraw(connection, context, events, context.clock.now())

    async def handle_facts(connection: AsyncConnection, events: Sequence[Event[Struct]]) -> None:
        await facts.record_facts(connection, context, events, context.clock.now())

    async def handle_follow_ups(connection: AsyncConnection, events: Sequence[Event[FollowUpDone]]) -> None:
        await conclude_follow_ups(context, connection, events)

    return (
        Subscription("dispatch.demands", handle_demands),
        Subscription("dispatch.facts", handle_facts),
        Subscription("dispatch.followups", handle_follow_ups),
    )


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
