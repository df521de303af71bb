"""What whoever posts is answered: one event's fate, and a set's, in order."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from msgspec import Struct

from services.intake.domain.incoming_event import IncomingEvent
from services.intake.operations.acceptance import Acceptance
from services.intake.operations.acceptor import Acceptor
from shared.auth import Role
from shared.errors import Problem
from shared.http.endpoints import Reply

POSTERS: tuple[Role, ...] = ("source", "dispatcher", "quality", "operations", "manager")


class EventReply(Struct, omit_defaults=True, kw_only=True):
    """The answer to one event."""

    status: Literal["accepted", "duplicate", "rejected"]
    source: str | None = None
    id: str | None = None
    demand: str | None = None
    problem: dict[str, Any] | None = None


class BatchReply(Struct):
    """The answer to a batch: one result each, in order."""

    results: list[EventReply]


def single_reply(accepted: Acceptance) -> Reply:
    """202, with the place of the demand where it is one."""
    headers = {"Location": f"/v1/demands/{accepted.demand}"} if accepted.demand else {}
    return Reply(accepted, 202, headers)


async def accept_each(
    acceptor: Acceptor, read: Sequence[IncomingEvent | Problem], language: str
) -> list[Acceptance | EventReply]:
    """Accept those that could be read, in one transaction; a result for each, in order."""
    fates = iter(await acceptor.accept_all([offer for offer in read if isinstance(offer, IncomingEvent)]))
    return [_result(outcome, fates, language) for outcome in read]


def _result(
    outcome: IncomingEvent | Problem, fates: Iterator[Acceptance | Exception], language: str
) -> Acceptance | EventReply:
    if isinstance(outcome, Problem):
        return EventReply(status="rejected", problem=outcome.document(language))
    fate = next(fates)
    if isinstance(fate, Problem):
        told = fate.document(language)
        return EventReply(status="rejected", source=outcome.source, id=outcome.id, problem=told)
    if isinstance(fate, Exception):
        raise fate
    return fate
