"""What kpi listens to: facts, follow-ups and cases, in sets, within the transaction that marks each taken."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from services.kpi.domain.fact_subjects import FACTS
from services.kpi.operations import items
from shared.messages.cloudevents import Event
from shared.messages.events import CaseChanged, CaseClosed, CaseOpened, FollowUpDone, FollowUpDue
from shared.messaging.consumer import Subscription
from shared.service import Service

FOLLOW_UPS = (FollowUpDue, FollowUpDone)
CASES = (CaseOpened, CaseChanged, CaseClosed)


async def handle_facts(_: Service, connection: AsyncConnection, events: Sequence[Event]) -> None:
    """Facts or follow-ups were told."""
    await items.record_facts(connection, events)


async def handle_case_events(_: Service, connection: AsyncConnection, events: Sequence[Event]) -> None:
    """Cases took steps."""
    await items.record_cases(connection, [event.data for event in events])


SUBSCRIPTIONS = (
    Subscription("kpi.facts", tuple(fact for fact in FACTS if fact not in FOLLOW_UPS), handle_facts),
    Subscription("kpi.followups", FOLLOW_UPS, handle_facts),
    Subscription("kpi.cases", CASES, handle_case_events),
)
