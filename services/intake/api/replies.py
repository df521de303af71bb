"""The replies to whoever posts: the outcome of one event, or of a batch, in order."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from msgspec import Struct

from services.intake.domain.incoming_event import EventContext, IncomingEvent
from services.intake.operations.acceptance import Acceptance, EventConflict
from services.intake.operations.context import IntakeContext
from shared.auth import Role
from shared.errors import Problem
from shared.http.endpoints import Call, Reply
from shared.http.requests import read_language
from shared.telemetry import current_trace

POSTERS: tuple[Role, ...] = ("source", "dispatcher", "quality", "operations", "manager")


class EventReply(Struct, omit_defaults=True, kw_only=True):
    """The outcome for one event."""

    status: Literal["accepted", "duplicate", "rejected"]
    source: str | None = None
    id: str | None = None
    demand: str | None = None
    problem: dict[str, Any] | None = None


class BatchReply(Struct):
    """The outcomes for a batch, in order."""

    results: list[EventReply]


def make_event_context(call: Call[IntakeContext, Any, Any]) -> EventContext:
    """Who posts the events of a request, and when."""
    return EventContext(
        by=call.identity.name,
        now=call.context.clock.now(),
        properties=call.context.properties,
        kinds=call.context.kinds,
        trace=current_trace(),
    )


async def accept_one(call: Call[IntakeContext, Any, Any], event: IncomingEvent) -> Reply[EventReply]:
    """Accept `event`: 202, with the address of the demand where it is one. Raises `EventConflict`."""
    reply = _describe_acceptance(await call.context.acceptor.accept(event))
    headers = {"Location": f"/v1/demands/{reply.demand}"} if reply.demand else {}
    return Reply(reply, 202, headers)


async def accept_each(
    call: Call[IntakeContext, Any, Any], members: Sequence[IncomingEvent | Problem]
) -> BatchReply:
    """Accept those that could be read, in one transaction; a result for each, in order."""
    readable = [member for member in members if isinstance(member, IncomingEvent)]
    results = iter(await call.context.acceptor.accept_batch(readable))
    language = read_language(call.request)
    return BatchReply([_describe_member(member, results, language) for member in members])


def _describe_member(
    member: IncomingEvent | Problem, results: Iterator[Acceptance | EventConflict], language: str
) -> EventReply:
    if isinstance(member, Problem):
        return EventReply(status="rejected", problem=member.document(language))
    result = next(results)
    if isinstance(result, EventConflict):
        problem = result.document(language)
        return EventReply(status="rejected", source=member.source, id=member.id, problem=problem)
    return _describe_acceptance(result)


def _describe_acceptance(result: Acceptance) -> EventReply:
    return EventReply(status=result.status, source=result.source, id=result.id, demand=result.demand)
