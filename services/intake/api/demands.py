"""Posting a plain demand, and reading its progress."""

from datetime import datetime

from msgspec import Struct

from services.intake import queries
from services.intake.api.replies import POSTERS, EventReply, accept_one, make_event_context
from services.intake.domain.incoming_event import make_event
from services.intake.operations.context import IntakeContext
from services.intake.queries import StoredDemand
from shared.errors import NotFound
from shared.http.endpoints import Call, Endpoints, Reply
from shared.ids import new_id
from shared.messages.events import DeadlineStatus
from shared.messages.facts import DemandRaised

endpoints = Endpoints()
RAISED = "guanjia.demand.raised.v1"


class DemandCase(Struct):
    """The case of a demand."""

    id: str
    number: str
    state: str
    open: bool
    next_deadline: DeadlineStatus | None


class DemandDetail(Struct):
    """A demand as its sender may see it; what was posted is null once it is erased."""

    id: str
    property: str
    kind: str | None
    source: str
    event: str
    reference: str | None
    summary: str | None
    raised_at: datetime
    accepted_at: datetime
    case: DemandCase | None


@endpoints.add(
    "POST", "/v1/demands", roles=POSTERS, status=202, keyed=True, summary=("提交需求", "Post a demand")
)
async def post_demand(call: Call[IntakeContext, None, DemandRaised]) -> Reply[EventReply]:
    call.context.rate_limiter.check(call.identity.key)
    id_, source = call.idempotency_key or new_id(), f"key/{call.identity.name}"
    event = make_event(source, id_, RAISED, None, call.body, make_event_context(call))
    call.identity.require_property(call.body.property)
    return await accept_one(call, event)


@endpoints.add(
    "GET", "/v1/demands/{id}", roles=POSTERS, summary=("查询需求及其进展", "A demand and what became of it")
)
async def get_demand(call: Call[IntakeContext, None, None]) -> DemandDetail:
    async with call.context.database.snapshot() as connection:
        demand = await queries.get_demand(connection, call.id())
        case = await queries.get_case(connection, call.id())
    if demand is None:
        raise NotFound
    if not (call.identity.may_see(demand.property) or demand.accepted_by == call.identity.name):
        raise NotFound
    return _describe_demand(demand, case)


def _describe_demand(demand: StoredDemand, case: queries.DemandCase | None) -> DemandDetail:
    raised = demand.decode_data()
    return DemandDetail(
        id=demand.demand,
        property=demand.property,
        kind=raised.kind if raised else None,
        source=demand.source,
        event=demand.id,
        reference=raised.reference if raised else None,
        summary=raised.summary if raised else None,
        raised_at=demand.time,
        accepted_at=demand.accepted_at,
        case=None if case is None else _describe_case(demand.demand, case),
    )


def _describe_case(demand_id: str, case: queries.DemandCase) -> DemandCase:
    unmet = [deadline for deadline in case.deadlines if case.open and deadline.met_at is None]
    following = min(unmet, key=lambda deadline: deadline.due_at, default=None)
    return DemandCase(demand_id, case.number, case.state, case.open, following)
