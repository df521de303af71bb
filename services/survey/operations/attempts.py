"""Records attempts in batches: each once, by the rules, with its event in the same transaction."""

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
from services.survey.operations.property_rules import SOURCE, get_property_rules
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
    report: AttemptReport
    identity: Identity | None
    acting_for: str | None = None
    key: str | None = None

    @property
    def request_name(self) -> tuple[str, str] | None:
        """Caller and idempotency key, which together name a request."""
        return None if self.key is None or self.identity is None else (self.identity.key, self.key)

    @property
    def body_hash(self) -> str:
        """A digest of everything that is requested."""
        return request_digest(self.followup, self.report, self.acting_for)


async def record_attempts(host: Host, batch: Sequence[SubmittedAttempt]) -> list[FollowUp | Exception]:
    """Record each attempt once, all in one transaction: for each the follow-up after it, or what is wrong.

    Once more where another copy received one of the same idempotency keys in the same moment.
    """
    try:
        return await record_attempts_once(host, batch)
    except IntegrityError:
        return await record_attempts_once(host, batch)


async def record_attempts_once(host: Host, batch: Sequence[SubmittedAttempt]) -> list[FollowUp | Exception]:
    """One try at `record_attempts`."""
    async with host.database.transaction() as connection:
        ids = {submitted.followup for submitted in batch}
        names = (submitted.request_name for submitted in batch if submitted.request_name)
        recorder = AttemptBatch(
            host,
            await queries.get_followups(connection, ids, lock=True),
            await queries.get_earlier_requests(connection, names),
        )
        results = [recorder.add(submitted) for submitted in batch]
        await save_attempts(connection, recorder)
        await host.record(connection, *recorder.events)
    return results


class AttemptBatch:
    """The follow-ups of a batch while attempts are added to them, and what is to be written of it."""

    def __init__(
        self,
        host: Host,
        followups: dict[str, FollowUp],
        earlier: dict[tuple[str, str], queries.EarlierRequest],
    ) -> None:
        self._host, self._followups, self._earlier = host, followups, earlier
        self.rows: list[dict[str, Any]] = []
        self.events: list[Event] = []
        self.done: set[str] = set()

    def add(self, submitted: SubmittedAttempt) -> FollowUp | Exception:
        """The follow-up with this attempt, or what is wrong with it; a member never spoils its batch."""
        try:
            return self._find_repeated(submitted) or self._record(submitted)
        except (Conflict, InvalidInput, NotAllowed, NotFound) as problem:
            return problem

    def _find_repeated(self, submitted: SubmittedAttempt) -> FollowUp | None:
        """The follow-up after the earlier request of the same name. Raises `IdempotencyConflict`."""
        earlier = self._earlier.get(submitted.request_name) if submitted.request_name else None
        if earlier is None:
            return None
        if earlier.body_hash != submitted.body_hash:
            raise IdempotencyConflict
        return self._followups[earlier.followup_id].at_attempt(earlier.seq)

    def _record(self, submitted: SubmittedAttempt) -> FollowUp:
        before = self._get_visible(submitted)
        rules, zone = get_property_rules(self._host, before.property)
        actor = choose_actor(self._host, before, submitted)
        after = record_attempt(before, submitted.report, actor, rules, zone, self._host.clock.now())
        self._followups[after.id] = after
        self._add_row(submitted, after)
        if after.version > before.version:
            self.done.add(after.id)
            self.events.append(make_done_event(after))
        return after

    def _get_visible(self, submitted: SubmittedAttempt) -> FollowUp:
        followup = self._followups.get(submitted.followup)
        if followup is None or (submitted.identity and not submitted.identity.may_see(followup.property)):
            raise NotFound
        return followup

    def _add_row(self, submitted: SubmittedAttempt, after: FollowUp) -> None:
        self.rows.append(make_attempt_row(submitted, after))
        if submitted.request_name:
            self._earlier[submitted.request_name] = queries.EarlierRequest(
                *submitted.request_name, after.id, len(after.attempts), submitted.body_hash
            )


async def save_attempts(connection: AsyncConnection, batch: AttemptBatch) -> None:
    """Write the attempts of a batch, and which follow-ups are done by them."""
    if batch.rows:
        await connection.execute(insert(attempts), batch.rows)
    if batch.done:
        done = update(followups).where(any_of(connection, followups.c.id, sorted(batch.done)))
        await connection.execute(done.values(state="done"))


def choose_actor(host: Host, followup: FollowUp, submitted: SubmittedAttempt) -> Actor:
    """Who made the attempt. Raises NotAllowed, and InvalidInput for somebody not of the property."""
    if submitted.identity is None:
        return Actor(person=RESIDENT, recorded_by=RESIDENT)
    identity, person = submitted.identity, submitted.acting_for
    if person is None:
        return Actor(person=require_person(identity), recorded_by=identity.actor)
    if not identity.has_role("dispatcher"):
        raise NotAllowed(
            "Only a dispatcher or an admin may act for somebody else.", "只有调度员或管理员可代他人操作。"
        )
    prop = host.properties.get(followup.property)
    if prop is None or person not in prop.people_by_id:
        raise InvalidInput.of("actor", "Nobody of this id belongs to the property", "该物业没有此人员")
    return Actor(person=person, recorded_by=identity.actor)


def require_person(identity: Identity) -> str:
    """The caller as a person; an engineer whose key names nobody may have done the work, and is refused."""
    if identity.person is None and not identity.has_role("dispatcher", "quality"):
        raise NotAllowed("This key names no person.", "该密钥未关联人员。")
    return identity.actor


def make_attempt_row(submitted: SubmittedAttempt, after: FollowUp) -> dict[str, Any]:
    """The row of the latest attempt, with the request that reported it."""
    attempt = after.attempts[-1]
    caller, key = submitted.request_name or (None, None)
    return msgspec.structs.asdict(attempt) | {
        "answer": None if attempt.answer is None else msgspec.to_builtins(attempt.answer),
        "followup_id": after.id,
        "caller": caller,
        "idempotency_key": key,
        "body_hash": submitted.body_hash if key else None,
    }


def make_done_event(after: FollowUp) -> Event:
    """The event of a follow-up's end or of a corrected answer: never with the comment."""
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
    answer = after.attempts[-1].answer
    if answer is None:
        return None
    return Answer(
        rating=answer.rating,
        expected=answer.expected,
        perceived=answer.perceived,
        surprised=answer.surprised,
        reason=answer.reason,
    )
