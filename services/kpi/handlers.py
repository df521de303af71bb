"""What kpi listens to: facts, follow-ups and cases, in sets, within the transaction that marks each taken."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from services.kpi import operations
from services.kpi.things import FACTS
from shared.messages import CaseChanged, CaseClosed, CaseOpened, Event, FollowUpDone, FollowUpDue
from shared.receiver import Subscription
from shared.service import Service

FOLLOW_UPS = (FollowUpDue, FollowUpDone)
CASES = (CaseOpened, CaseChanged, CaseClosed)


async def take_facts(_: Service, connection: AsyncConnection, events: Sequence[Event]) -> None:
    """Facts or follow-ups were told."""
    await operations.take_facts(connection, events)


async def take_cases(_: Service, connection: AsyncConnection, events: Sequence[Event]) -> None:
    """Cases took steps."""
    await operations.take_cases(connection, [event.data for event in events])


SUBSCRIPTIONS = (
    Subscription("kpi.facts", tuple(fact for fact in FACTS if fact not in FOLLOW_UPS), take_facts),
    Subscription("kpi.followups", FOLLOW_UPS, take_facts),
    Subscription("kpi.cases", CASES, take_cases),
)
