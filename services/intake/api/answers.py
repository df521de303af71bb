"""What whoever posts is answered: one event's fate, and a set's, in order."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from msgspec import Struct

from services.intake.doors import Doors
from services.intake.offers import Offer
from services.intake.operations import Accepted
from shared.auth import Role
from shared.errors import Problem
from shared.web import Answer

POSTERS: tuple[Role, ...] = ("source", "dispatcher", "quality", "operations", "manager")


class Taken(Struct, omit_defaults=True, kw_only=True):
    """The answer to one event."""

    status: Literal["accepted", "duplicate", "rejected"]
    source: str | None = None
    id: str | None = None
    demand: str | None = None
    problem: dict[str, Any] | None = None


class BatchAnswer(Struct):
    """The answer to a batch: one result each, in order."""

    results: list[Taken]


def single(accepted: Accepted) -> Answer:
    """202, with the place of the demand where it is one."""
    headers = {"Location": f"/v1/demands/{accepted.demand}"} if accepted.demand else {}
    return Answer(accepted, 202, headers)


async def accept_each(doors: Doors, read: Sequence[Offer | Problem], language: str) -> list[Accepted | Taken]:
    """Accept those that could be read, in one transaction; a result for each, in order."""
    fates = iter(await doors.accept_all([offer for offer in read if isinstance(offer, Offer)]))
    return [_result(outcome, fates, language) for outcome in read]


def _result(
    outcome: Offer | Problem, fates: Iterator[Accepted | Exception], language: str
) -> Accepted | Taken:
    if isinstance(outcome, Problem):
        return Taken(status="rejected", problem=outcome.document(language))
    fate = next(fates)
    if isinstance(fate, Problem):
        told = fate.document(language)
        return Taken(status="rejected", source=outcome.source, id=outcome.id, problem=told)
    if isinstance(fate, Exception):
        raise fate
    return fate
