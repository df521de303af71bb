"""Handles events of cases, in batches, within the transaction that puts them into the inbox."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from services.survey.operations.followups import plan_followups
from shared.host import Host
from shared.messages.cloudevents import Event
from shared.messages.events import CaseState
from shared.messaging.consumer import Subscription


def subscriptions(host: Host) -> tuple[Subscription[Any], ...]:
    """The queues of survey."""

    async def handle_case_events(connection: AsyncConnection, events: Sequence[Event[CaseState]]) -> None:
        await plan_followups(host, connection, [event.data for event in events])

    return (Subscription("survey.cases", handle_case_events, rest=0.25),)
