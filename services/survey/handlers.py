"""What survey listens to: cases, as sets within the transaction that marks them as taken."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from services.survey import operations
from shared.messages import CaseChanged, CaseClosed, CaseOpened, Event
from shared.receiver import Subscription
from shared.service import Service


async def take_cases(service: Service, connection: AsyncConnection, events: Sequence[Event]) -> None:
    """Cases took steps; those that are finished are owed a follow-up."""
    await operations.plan_followups(service, connection, [event.data for event in events])


SUBSCRIPTIONS = (Subscription("survey.cases", (CaseOpened, CaseChanged, CaseClosed), take_cases),)
