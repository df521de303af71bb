"""What survey answers over HTTP: follow-ups, one by one and in lists, and the attempts at them."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from services.survey import queries
from services.survey.domain.followup import (
    Attempt,
    AttemptOutcome,
    AttemptReport,
    FollowUp,
    Outcome,
    ResidentAnswer,
    State,
)
from services.survey.operations.attempts import SubmittedAttempt
from services.survey.operations.form_links import link_to_form
from shared.auth import Identity, Role
from shared.errors import InvalidInput, NotFound
from shared.http.endpoints import Call, Endpoints
from shared.messages.facts import Id, Instant, Kind, Line, Rating, Reason, Word
from shared.properties.roster import PersonId

READERS: tuple[Role, ...] = ("dispatcher", "quality", "engineer", "manager")
CALLERS: tuple[Role, ...] = ("dispatcher", "quality", "engineer")
LINK_HOLDERS: tuple[Role, ...] = ("dispatcher", "quality")
WORD_READERS: tuple[Role, ...] = ("dispatcher", "quality", "manager")
endpoints = Endpoints()


class FollowUpQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which follow-ups; without `property` those of every property of the key."""

    property: Word | None = None
    case: Id | None = None
    due_before: Annotated[str, Meta(max_length=40)] | None = None
    state: State | None = None
    cursor: Annotated[str, Meta(max_length=200)] | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50


class AttemptRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A try to reach the resident. `at` missing: now; `actor`: whom a dispatcher acts for."""

    outcome: AttemptOutcome
    channel: Word
    at: Instant | None = None
    answer: ResidentAnswer | None = None
    actor: PersonId | None = None


class AnswerDetail(Struct, frozen=True, kw_only=True):
    """What the resident said; `gap` is perceived less expected; `comment` null for whom it is not."""

    rating: Rating
    expected: Rating | None
    perceived: Rating | None
    gap: int | None
    surprised: bool | None
    reason: Reason | None
    comment: str | None


class AttemptDetail(Struct, frozen=True, kw_only=True):
    """One try: `at` is when it happened, `recorded_at` when we heard."""

    seq: int
    outcome: AttemptOutcome
    at: datetime
    recorded_at: datetime
    actor: str
    recorded_by: str
    channel: str
    answer: AnswerDetail | None


class FollowUpDetail(Struct, frozen=True, kw_only=True):
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
    attempts: list[AttemptDetail]
    link: str | UnsetType | None = UNSET


class FollowUpPage(Struct, frozen=True, kw_only=True):
    """Follow-ups by due time, and where to go on."""

    items: list[FollowUpDetail]
    next: str | None


@endpoints.add(
    "GET",
    "/v1/followups",
    roles=READERS,
    query=FollowUpQuery,
    answer=FollowUpPage,
    summary=("回访列表", "Follow-ups, by due time"),
)
async def get_followups(call: Call) -> FollowUpPage:
    asked: FollowUpQuery = call.query
    if asked.property is not None:
        call.identity.require_property(asked.property)
    async with call.service.database.snapshot() as connection:
        found = await queries.list_followups(
            connection, followup_filter(call.identity, asked), asked.limit + 1
        )
    items = [describe_followup(followup, call.identity) for followup in found[: asked.limit]]
    return FollowUpPage(
        items=items, next=encode_cursor(found[asked.limit - 1]) if len(found) > asked.limit else None
    )


@endpoints.add(
    "GET", "/v1/followups/{id}", roles=READERS, answer=FollowUpDetail, summary=("单个回访", "A follow-up")
)
async def get_followup(call: Call) -> FollowUpDetail:
    followup_id = call.path["id"]
    async with call.service.database.snapshot() as connection:
        followup = (await queries.get_followups(connection, [require_id(followup_id)])).get(followup_id)
    if followup is None or not call.identity.sees(followup.property):
        raise NotFound
    return await describe_with_link(call, followup)


@endpoints.add(
    "POST",
    "/v1/followups/{id}/attempts",
    roles=CALLERS,
    body=AttemptRequest,
    answer=FollowUpDetail,
    summary=("记录一次回访", "Record an attempt"),
)
async def post_attempt(call: Call) -> FollowUpDetail:
    body: AttemptRequest = call.body
    asked = SubmittedAttempt(
        followup=require_id(call.path["id"]),
        tried=AttemptReport(outcome=body.outcome, channel=body.channel, at=body.at, answer=body.answer),
        identity=call.identity,
        acting_for=body.actor,
        key=call.idempotency_key,
    )
    return await describe_with_link(call, await call.service.attempts.submit(asked))


async def describe_with_link(call: Call, followup: FollowUp) -> FollowUpDetail:
    """The follow-up as this caller may see it."""
    may_send = call.identity.may(*LINK_HOLDERS)
    link = await link_to_form(call.service, followup) if may_send else None
    return describe_followup(followup, call.identity, link)


def require_id(text: str) -> str:
    """An id that can be one of ours. Raises NotFound for anything else."""
    if len(text) != 36 or not text.isascii() or not text.isprintable():
        raise NotFound
    return text


def followup_filter(identity: Identity, asked: FollowUpQuery) -> queries.FollowUpFilter:
    """What is looked for: never beyond the caller's properties."""
    scope = identity.properties if asked.property is None else frozenset([asked.property])
    return queries.FollowUpFilter(
        properties=scope,
        case=asked.case,
        due_before=parse_instant("due_before", asked.due_before) if asked.due_before else None,
        state=asked.state,
        after=decode_cursor(asked.cursor) if asked.cursor else None,
    )


def parse_instant(path: str, text: str) -> datetime:
    """An instant of a query, its `+` maybe read as a space. Raises InvalidInput."""
    try:
        return msgspec.convert(text.replace(" ", "+"), Instant)
    except msgspec.ValidationError:
        raise InvalidInput.of(
            path, "Expected a time with an offset (RFC 3339)", "应为带时区的 RFC 3339 时间"
        ) from None


def encode_cursor(followup: FollowUp) -> str:
    """Where the page after this one begins."""
    return urlsafe_b64encode(msgspec.json.encode((followup.due_at, followup.id))).decode()


def decode_cursor(cursor: str) -> tuple[datetime, str]:
    """Reads `cursor_of`. Raises InvalidInput."""
    try:
        return msgspec.json.decode(urlsafe_b64decode(cursor), type=tuple[Instant, Id])
    except (ValueError, msgspec.DecodeError):
        raise InvalidInput.of("cursor", "This is none of our cursors", "游标无效") from None


def describe_followup(
    followup: FollowUp, reader: Identity, link: str | UnsetType | None = UNSET
) -> FollowUpDetail:
    """The follow-up as this reader may see it."""
    words = reader.may(*WORD_READERS)
    return FollowUpDetail(
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
        attempts=[describe_attempt(attempt, words) for attempt in followup.attempts],
        link=link,
    )


def describe_attempt(attempt: Attempt, words: bool) -> AttemptDetail:
    """An attempt, with the resident's words or without."""
    return AttemptDetail(
        seq=attempt.seq,
        outcome=attempt.outcome,
        at=attempt.at,
        recorded_at=attempt.recorded_at,
        actor=attempt.actor,
        recorded_by=attempt.recorded_by,
        channel=attempt.channel,
        answer=describe_answer(attempt.answer, words) if attempt.answer else None,
    )


def describe_answer(answer: ResidentAnswer, words: bool) -> AnswerDetail:
    """An answer, with its words or without."""
    return AnswerDetail(
        rating=answer.rating,
        expected=answer.expected,
        perceived=answer.perceived,
        gap=answer.gap,
        surprised=answer.surprised,
        reason=answer.reason,
        comment=answer.comment if words else None,
    )
