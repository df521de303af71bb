"""Plain demands come in, and a demand's sender asks what became of it."""

from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from services.intake import queries
from services.intake.api.replies import POSTERS, EventReply, single_reply
from services.intake.domain.incoming_event import make_event
from shared.errors import NotFound
from shared.http.endpoints import Call, Endpoints, Reply
from shared.ids import new_id, parse_uuid
from shared.messages.facts import DemandRaised

endpoints = Endpoints()
RAISED = "guanjia.demand.raised.v1"


class DemandCase(Struct):
    """What became of a demand."""

    id: str
    number: str
    state: str
    open: bool
    next_deadline: dict[str, Any] | None


class DemandDetail(Struct):
    """A demand as its sender may see it."""

    id: str
    property: str
    kind: str
    source: str
    event: str
    reference: str | None
    summary: str
    raised_at: datetime
    accepted_at: datetime
    case: DemandCase | None


@endpoints.add(
    "POST", "/v1/demands", roles=POSTERS, body=DemandRaised, answer=EventReply, status=202,
    summary=("提交需求", "Post a demand"),
)  # fmt: skip
async def post_demand(call: Call) -> Reply:
    service, by = call.service, call.identity.name
    service.acceptor.check_rate(call.identity, 1)
    call.identity.require_property(call.body.property)
    id_ = call.idempotency_key or new_id()
    now, known = service.clock.now(), service.properties
    offer = make_event(f"key/{by}", id_, RAISED, None, call.body, by=by, now=now, properties=known)
    return single_reply(await service.acceptor.accept(offer))


@endpoints.add(
    "GET", "/v1/demands/{id}", roles=POSTERS, answer=DemandDetail,
    summary=("查询需求及其进展", "A demand and what became of it"),
)  # fmt: skip
async def get_demand(call: Call) -> DemandDetail:
    demand_id = parse_uuid(call.path["id"])
    async with call.service.database.snapshot() as connection:
        row = await queries.get_demand(connection, demand_id) if demand_id else None
    if row is None or not (call.identity.sees(row.property) or row.accepted_by == call.identity.name):
        raise NotFound
    return _view(row)


def _view(row: Any) -> DemandDetail:
    return DemandDetail(
        id=row.id,
        property=row.property,
        kind=row.kind,
        source=row.source,
        event=row.event,
        reference=row.reference,
        summary=msgspec.json.decode(row.data)["summary"],
        raised_at=row.raised_at,
        accepted_at=row.accepted_at,
        case=None if row.number is None else _case(row),
    )


def _case(row: Any) -> DemandCase:
    unmet = [deadline for deadline in row.deadlines if row.open and deadline["met_at"] is None]
    following = min(unmet, key=lambda deadline: str(deadline["due_at"]), default=None)
    return DemandCase(row.id, row.number, row.state, row.open, following)
