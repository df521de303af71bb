"""What kpi listens to: facts, follow-ups and cases, in the transaction that marks them as taken."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from services.kpi.domain.timelines import Fact
from services.kpi.operations.items import record_cases, record_facts
from shared.messages.cloudevents import Event
from shared.messages.events import CaseState
from shared.messaging.consumer import Subscription

REST = 0.25
"""Seconds: a fact is to show within one."""


async def handle_facts(connection: AsyncConnection, events: Sequence[Event[Fact]]) -> None:
    """Facts came in, or follow-ups are due or done."""
    await record_facts(connection, events)


async def handle_case_events(connection: AsyncConnection, events: Sequence[Event[CaseState]]) -> None:
    """Cases took steps."""
    await record_cases(connection, [event.data for event in events])


SUBSCRIPTIONS: tuple[Subscription[Any], ...] = (
    Subscription("kpi.facts", handle_facts, rest=REST),
    Subscription("kpi.followups", handle_facts, rest=REST),
    Subscription("kpi.cases", handle_case_events, rest=REST),
)
