"""What survey listens to: cases, as sets within the transaction that marks them as taken."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from services.survey.operations.followups import plan_followups
from shared.messages.cloudevents import Event
from shared.messages.events import CaseChanged, CaseClosed, CaseOpened
from shared.messaging.consumer import Subscription
from shared.service import Service


async def handle_case_events(service: Service, connection: AsyncConnection, events: Sequence[Event]) -> None:
    """Cases took steps; those that are finished are owed a follow-up."""
    await plan_followups(service, connection, [event.data for event in events])


SUBSCRIPTIONS = (Subscription("survey.cases", (CaseOpened, CaseChanged, CaseClosed), handle_case_events),)
