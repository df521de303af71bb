"""Records attempts in sets: each once, by the rules, and tells of it in the same transaction."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import insert, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.survey import queries
from services.survey.domain.followup import Actor, AttemptReport, FollowUp, record_attempt
from services.survey.models import attempts, followups
from services.survey.operations.property_rules import SOURCE, property_rules
from shared.auth import Identity
from shared.database.bulk import any_of
from shared.errors import Conflict, InvalidInput, NotAllowed, NotFound
from shared.host import Host
from shared.http.idempotency import IdempotencyConflict, request_digest
from shared.messages.cloudevents import Event
from shared.messages.events import Answer, FollowUpDone

RESIDENT = "resident"


class SubmittedAttempt(Struct, frozen=True, kw_only=True):
    """A request to record an attempt. `identity` None: the resident, by the form."""

    followup: str
    tried: AttemptReport
    identity: Identity | None
    acting_for: str | None = None
    key: str | None = None

    @property
    def request(self) -> tuple[str, str] | None:
        """Caller and idempotency key, which together name a request."""
        return None if self.key is None or self.identity is None else (self.identity.key, self.key)

    @property
    def body_hash(self) -> str:
        """A digest of everything that is asked for."""
        return request_digest(self.followup, self.tried, self.acting_for)


async def record_attempts(host: Host, asked: Sequence[SubmittedAttempt]) -> list[FollowUp | Exception]:
    """Record each attempt once, all in one transaction: each follow-up as it stands then, or what is wrong.

    Once more where another copy was given one of the same idempotency keys in the same moment.
    """
    try:
        return await record_attempts_once(host, asked)
    except IntegrityError:
        return await record_attempts_once(host, asked)


async def record_attempts_once(host: Host, asked: Sequence[SubmittedAttempt]) -> list[FollowUp | Exception]:
    """One try at `record_attempts`."""
    async with host.database.transaction() as connection:
        known = await queries.get_followups(connection, {one.followup for one in asked}, lock=True)
        book = AttemptBatch(
            host,
            known,
            await queries.earlier_requests(connection, (one.request for one in asked if one.request)),
        )
        answers = [book.enter(one) for one in asked]
        await save_attempts(connection, book)
        await host.record(connection, *book.events)
    host.committed()
    return answers


class AttemptBatch:
    """The follow-ups of a set while attempts are entered into them, and what is to be written of it."""

    def __init__(
        self,
        host: Host,
        known: dict[str, FollowUp],
        earlier: dict[tuple[str, str], queries.EarlierRequest],
    ) -> None:
        self._host, self._known, self._earlier = host, known, earlier
        self.rows: list[dict[str, Any]] = []
        self.events: list[Event] = []
        self.done: set[str] = set()

    def enter(self, asked: SubmittedAttempt) -> FollowUp | Exception:
        """The follow-up with this attempt, or what is wrong with it; a member never spoils its set."""
        try:
            return self._repeated(asked) or self._entered(asked)
        except (Conflict, InvalidInput, NotAllowed, NotFound) as problem:
            return problem

    def _repeated(self, asked: SubmittedAttempt) -> FollowUp | None:
        before = self._earlier.get(asked.request) if asked.request else None
        if before is None:
            return None
        if before.body_hash != asked.body_hash:
            raise IdempotencyConflict
        return self._known[before.followup].upto(before.seq)

    def _entered(self, asked: SubmittedAttempt) -> FollowUp:
        before = self._seen(asked)
        rules, zone = property_rules(self._host, before.property)
        actor = actor_for(self._host, before, asked)
        after = record_attempt(before, asked.tried, actor, rules, zone, self._host.clock.now())
        self._known[after.id] = after
        self._note(asked, after)
        if after.version > before.version:
            self.done.add(after.id)
            self.events.append(done_event(after))
        return after

    def _seen(self, asked: SubmittedAttempt) -> FollowUp:
        followup = self._known.get(asked.followup)
        if followup is None or (asked.identity and not asked.identity.sees(followup.property)):
            raise NotFound
        return followup

    def _note(self, asked: SubmittedAttempt, after: FollowUp) -> None:
        seq = len(after.attempts)
        self.rows.append(attempt_row(asked, after))
        if asked.request:
            self._earlier[asked.request] = queries.EarlierRequest(after.id, seq, asked.body_hash)


async def save_attempts(connection: AsyncConnection, book: AttemptBatch) -> None:
    """Write what was entered."""
    if book.rows:
        await connection.execute(insert(attempts), book.rows)
    if book.done:
        ids = sorted(book.done)
        await connection.execute(
            update(followups).where(any_of(connection, followups.c.id, ids)).values(state="done")
        )


def actor_for(host: Host, followup: FollowUp, asked: SubmittedAttempt) -> Actor:
    """Who tried. Raises NotAllowed, and InvalidInput for somebody who does not belong to the property."""
    if asked.identity is None:
        return Actor(person=RESIDENT, recorded_by=RESIDENT)
    identity, person = asked.identity, asked.acting_for
    if person is None:
        return Actor(person=require_person(identity), recorded_by=identity.actor)
    if not identity.may("dispatcher"):
        raise NotAllowed(
            "Only a dispatcher or an admin may act for somebody else.", "只有调度员或管理员可代他人操作。"
        )
    prop = host.properties.get(followup.property)
    if prop is None or person not in prop.people_by_id:
        raise InvalidInput.of("actor", "Nobody of this id belongs to the property", "该物业没有此人员")
    return Actor(person=person, recorded_by=identity.actor)


def require_person(identity: Identity) -> str:
    """The caller as a person; an engineer whose key names nobody may have done the work, and is refused."""
    if identity.person is None and not identity.may("dispatcher", "quality"):
        raise NotAllowed("This key names no person.", "该密钥未关联人员。")
    return identity.actor


def attempt_row(asked: SubmittedAttempt, after: FollowUp) -> dict[str, Any]:
    """The row of the latest attempt, with the request that told it."""
    told = msgspec.structs.asdict(after.attempts[-1])
    told["answer"] = None if told["answer"] is None else msgspec.to_builtins(told["answer"])
    caller, key = asked.request or (None, None)
    body_hash = asked.body_hash if key else None
    return told | {
        "followup_id": after.id,
        "caller": caller,
        "idempotency_key": key,
        "body_hash": body_hash,
    }


def done_event(after: FollowUp) -> Event:
    """What is told of a follow-up's end or of a corrected answer: never the words."""
    last = after.attempts[-1]
    if after.outcome is None or after.done_at is None:
        raise ValueError("the follow-up is not done")
    data = FollowUpDone(
        followup=after.id,
        case=after.case,
        property=after.property,
        kind=after.kind,
        line=after.line,
        due_at=after.due_at,
        since=after.since,
        outcome=after.outcome,
        done_at=after.done_at,
        answered_at=last.at if last.answer else None,
        answer=answer_without_comment(after),
        version=after.version,
        by=last.actor,
    )
    return Event.of(data, source=SOURCE, time=last.at)


def answer_without_comment(after: FollowUp) -> Answer | None:
    """The latest attempt's answer without its comment."""
    told = after.attempts[-1].answer
    if told is None:
        return None
    return Answer(
        rating=told.rating,
        expected=told.expected,
        perceived=told.perceived,
        surprised=told.surprised,
        reason=told.reason,
    )
