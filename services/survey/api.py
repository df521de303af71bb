"""What survey answers over HTTP: follow-ups, one by one and in lists, and the attempts at them."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from services.survey import operations, queries
from services.survey.followup import Attempt, Attempted, AttemptOutcome, FollowUp, GivenAnswer, Outcome, State
from shared.auth import Identity, Role
from shared.errors import InvalidInput, NotFound
from shared.messages import Kind, Line
from shared.messages.facts import Id, Instant, Rating, Reason, Word
from shared.properties.roster import PersonId
from shared.web import Call, Endpoints

READERS: tuple[Role, ...] = ("dispatcher", "quality", "engineer", "manager")
CALLERS: tuple[Role, ...] = ("dispatcher", "quality", "engineer")
LINK_HOLDERS: tuple[Role, ...] = ("dispatcher", "quality")
WORD_READERS: tuple[Role, ...] = ("dispatcher", "quality", "manager")
endpoints = Endpoints()


class FollowUpsAsked(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which follow-ups; without `property` those of every property of the key."""

    property: Word | None = None
    case: Id | None = None
    due_before: Annotated[str, Meta(max_length=40)] | None = None
    state: State | None = None
    cursor: Annotated[str, Meta(max_length=200)] | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50


class AttemptAsked(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A try to reach the resident. `at` missing: now; `actor`: whom a dispatcher acts for."""

    outcome: AttemptOutcome
    channel: Word
    at: Instant | None = None
    answer: GivenAnswer | None = None
    actor: PersonId | None = None


class AnswerTold(Struct, frozen=True, kw_only=True):
    """What the resident said; `gap` is perceived less expected; `comment` null for whom it is not."""

    rating: Rating
    expected: Rating | None
    perceived: Rating | None
    gap: int | None
    surprised: bool | None
    reason: Reason | None
    comment: str | None


class AttemptTold(Struct, frozen=True, kw_only=True):
    """One try: `at` is when it happened, `recorded_at` when we heard."""

    seq: int
    outcome: AttemptOutcome
    at: datetime
    recorded_at: datetime
    actor: str
    recorded_by: str
    channel: str
    answer: AnswerTold | None


class FollowUpTold(Struct, frozen=True, kw_only=True):
    """A follow-up. `outcome` and `done_at` are null while it is due; `link` opens the resident's form."""

    id: str
    case: str
    number: str
    property: str
    kind: Kind
    line: Line
    due_at: datetime
    since: datetime
    state: State
    outcome: Outcome | None
    done_at: datetime | None
    attempts: list[AttemptTold]
    link: str | UnsetType | None = UNSET


class FollowUpPage(Struct, frozen=True, kw_only=True):
    """Follow-ups by due time, and where to go on."""

    items: list[FollowUpTold]
    next: str | None


@endpoints.add("GET", "/v1/followups", roles=READERS, query=FollowUpsAsked, answer=FollowUpPage,
               summary=("回访列表", "Follow-ups, by due time"))  # fmt: skip
async def get_followups(call: Call) -> FollowUpPage:
    asked: FollowUpsAsked = call.query
    if asked.property is not None:
        call.identity.require_property(asked.property)
    async with call.service.database.read() as connection:
        found = await queries.page(connection, wanted(call.identity, asked), asked.limit + 1)
    items = [told(followup, call.identity) for followup in found[: asked.limit]]
    return FollowUpPage(
        items=items, next=cursor_of(found[asked.limit - 1]) if len(found) > asked.limit else None
    )


@endpoints.add("GET", "/v1/followups/{id}", roles=READERS, answer=FollowUpTold,
               summary=("单个回访", "A follow-up"))  # fmt: skip
async def get_followup(call: Call) -> FollowUpTold:
    followup_id = call.path["id"]
    async with call.service.database.read() as connection:
        followup = (await queries.found(connection, [known_id(followup_id)])).get(followup_id)
    if followup is None or not call.identity.sees(followup.property):
        raise NotFound
    return await whole(call, followup)


@endpoints.add("POST", "/v1/followups/{id}/attempts", roles=CALLERS, body=AttemptAsked, answer=FollowUpTold,
               summary=("记录一次回访", "Record an attempt"))  # fmt: skip
async def post_attempt(call: Call) -> FollowUpTold:
    body: AttemptAsked = call.body
    asked = operations.Asked(
        followup=known_id(call.path["id"]),
        tried=Attempted(outcome=body.outcome, channel=body.channel, at=body.at, answer=body.answer),
        identity=call.identity,
        acting_for=body.actor,
        key=call.idempotency_key,
    )
    return await whole(call, await call.service.attempts.do(asked))


async def whole(call: Call, followup: FollowUp) -> FollowUpTold:
    """The follow-up as this caller may see it."""
    may_send = call.identity.may(*LINK_HOLDERS)
    link = await operations.link_to_form(call.service, followup) if may_send else None
    return told(followup, call.identity, link)


def known_id(text: str) -> str:
    """An id that can be one of ours. Raises NotFound for anything else."""
    if len(text) != 36 or not text.isascii() or not text.isprintable():
        raise NotFound
    return text


def wanted(identity: Identity, asked: FollowUpsAsked) -> queries.Wanted:
    """What is looked for: never beyond the caller's properties."""
    scope = identity.properties if asked.property is None else frozenset([asked.property])
    return queries.Wanted(
        properties=scope,
        case=asked.case,
        due_before=instant("due_before", asked.due_before) if asked.due_before else None,
        state=asked.state,
        after=place(asked.cursor) if asked.cursor else None,
    )


def instant(path: str, text: str) -> datetime:
    """An instant of a query, its `+` maybe read as a space. Raises InvalidInput."""
    try:
        return msgspec.convert(text.replace(" ", "+"), Instant)
    except msgspec.ValidationError:
        raise InvalidInput.of(
            path, "Expected a time with an offset (RFC 3339)", "应为带时区的 RFC 3339 时间"
        ) from None


def cursor_of(followup: FollowUp) -> str:
    """Where the page after this one begins."""
    return urlsafe_b64encode(msgspec.json.encode((followup.due_at, followup.id))).decode()


def place(cursor: str) -> tuple[datetime, str]:
    """Reads `cursor_of`. Raises InvalidInput."""
    try:
        return msgspec.json.decode(urlsafe_b64decode(cursor), type=tuple[Instant, Id])
    except (ValueError, msgspec.DecodeError):
        raise InvalidInput.of("cursor", "This is none of our cursors", "游标无效") from None


def told(followup: FollowUp, reader: Identity, link: str | UnsetType | None = UNSET) -> FollowUpTold:
    """The follow-up as this reader may see it."""
    words = reader.may(*WORD_READERS)
    return FollowUpTold(
        id=followup.id,
        case=followup.case,
        number=followup.number,
        property=followup.property,
        kind=followup.kind,
        line=followup.line,
        due_at=followup.due_at,
        since=followup.since,
        state=followup.state,
        outcome=followup.outcome,
        done_at=followup.done_at,
        attempts=[attempt_told(attempt, words) for attempt in followup.attempts],
        link=link,
    )


def attempt_told(attempt: Attempt, words: bool) -> AttemptTold:
    """An attempt, with the resident's words or without."""
    return AttemptTold(
        seq=attempt.seq,
        outcome=attempt.outcome,
        at=attempt.at,
        recorded_at=attempt.recorded_at,
        actor=attempt.actor,
        recorded_by=attempt.recorded_by,
        channel=attempt.channel,
        answer=answer_told(attempt.answer, words) if attempt.answer else None,
    )


def answer_told(answer: GivenAnswer, words: bool) -> AnswerTold:
    """An answer, with its words or without."""
    return AnswerTold(
        rating=answer.rating,
        expected=answer.expected,
        perceived=answer.perceived,
        gap=answer.gap,
        surprised=answer.surprised,
        reason=answer.reason,
        comment=answer.comment if words else None,
    )
