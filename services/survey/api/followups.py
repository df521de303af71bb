"""survey over HTTP: follow-ups, one by one and in lists, and the attempts at them."""

from datetime import datetime

from msgspec import UNSET, Struct, UnsetType

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
from services.survey.operations.context import SurveyContext
from services.survey.operations.form_links import get_form_link
from shared.auth import Identity, Role
from shared.errors import NotFound
from shared.http.endpoints import Call, Endpoints
from shared.http.pagination import Cursor, Page, PageQuery
from shared.http.parameters import list_visible_properties
from shared.messages.facts import Id, Instant, Kind, Line, Rating, Reason, Word
from shared.properties.roster import PersonId

READERS: tuple[Role, ...] = ("dispatcher", "quality", "engineer", "manager")
CALLERS: tuple[Role, ...] = ("dispatcher", "quality", "engineer")
LINK_READERS: tuple[Role, ...] = ("dispatcher", "quality")
COMMENT_READERS: tuple[Role, ...] = ("dispatcher", "quality", "manager")
endpoints = Endpoints()
CURSOR = Cursor("followups", tuple[datetime, str])
"""Due time and id of the last follow-up shown."""


class FollowUpQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which follow-ups; without `property` those of every property of the key."""

    property: Word | None = None
    case: Id | None = None
    due_before: Instant | None = None
    state: State | None = None


class AttemptRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An attempt to reach the resident. `at` missing: now; `actor`: whom a dispatcher acts for."""

    outcome: AttemptOutcome
    channel: Word
    at: Instant | None = None
    answer: ResidentAnswer | None = None
    actor: PersonId | None = None


class AnswerDetail(Struct, frozen=True, kw_only=True):
    """What the resident said; `gap` is perceived less expected; `comment` null if not for the caller."""

    rating: Rating
    expected: Rating | None
    perceived: Rating | None
    gap: int | None
    surprised: bool | None
    reason: Reason | None
    comment: str | None


class AttemptDetail(Struct, frozen=True, kw_only=True):
    """One attempt: `at` is when it happened, `recorded_at` when we heard."""

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


@endpoints.add("GET", "/v1/followups", roles=READERS, summary=("回访列表", "Follow-ups, by due time"))
async def get_followups(call: Call[SurveyContext, FollowUpQuery, None]) -> Page[FollowUpDetail]:
    query, identity = call.query, call.identity
    properties = list_visible_properties(call.context.properties, identity, query.property)
    filters = queries.FollowUpFilter(
        properties=None if properties is None else frozenset(properties),
        case=query.case,
        due_before=query.due_before,
        state=query.state,
        after=CURSOR.decode(query.cursor),
    )
    async with call.context.database.snapshot() as connection:
        followups = await queries.list_followups(connection, filters, query.limit + 1)
    return CURSOR.make_page(
        followups,
        query.limit,
        lambda followup: (followup.due_at, followup.id),
        lambda followup: describe_followup(followup, identity),
    )


@endpoints.add("GET", "/v1/followups/{id}", roles=READERS, summary=("单个回访", "A follow-up"))
async def get_followup(call: Call[SurveyContext, None, None]) -> FollowUpDetail:
    followup_id = call.id()
    async with call.context.database.snapshot() as connection:
        followup = (await queries.get_followups(connection, [followup_id])).get(followup_id)
    if followup is None or not call.identity.may_see(followup.property):
        raise NotFound
    return await describe_with_link(call.context, call.identity, followup)


@endpoints.add(
    "POST",
    "/v1/followups/{id}/attempts",
    roles=CALLERS,
    keyed=True,
    summary=("记录一次回访", "Record an attempt"),
)
async def post_attempt(call: Call[SurveyContext, None, AttemptRequest]) -> FollowUpDetail:
    body = call.body
    submitted = SubmittedAttempt(
        followup=call.id(),
        report=AttemptReport(outcome=body.outcome, channel=body.channel, at=body.at, answer=body.answer),
        identity=call.identity,
        acting_for=body.actor,
        key=call.idempotency_key,
    )
    followup = await call.context.attempts.submit(submitted)
    return await describe_with_link(call.context, call.identity, followup)


async def describe_with_link(
    context: SurveyContext, identity: Identity, followup: FollowUp
) -> FollowUpDetail:
    """The follow-up as this caller may see it."""
    may_send = identity.has_role(*LINK_READERS)
    link = await get_form_link(context, followup) if may_send else None
    return describe_followup(followup, identity, link)


def describe_followup(
    followup: FollowUp, reader: Identity, link: str | UnsetType | None = UNSET
) -> FollowUpDetail:
    """The follow-up as this reader may see it."""
    with_comments = reader.has_role(*COMMENT_READERS)
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
        attempts=[describe_attempt(attempt, with_comments) for attempt in followup.attempts],
        link=link,
    )


def describe_attempt(attempt: Attempt, with_comment: bool) -> AttemptDetail:
    """An attempt, with the resident's comment or without."""
    return AttemptDetail(
        seq=attempt.seq,
        outcome=attempt.outcome,
        at=attempt.at,
        recorded_at=attempt.recorded_at,
        actor=attempt.actor,
        recorded_by=attempt.recorded_by,
        channel=attempt.channel,
        answer=describe_answer(attempt.answer, with_comment) if attempt.answer else None,
    )


def describe_answer(answer: ResidentAnswer, with_comment: bool) -> AnswerDetail:
    """An answer, with its comment or without."""
    return AnswerDetail(
        rating=answer.rating,
        expected=answer.expected,
        perceived=answer.perceived,
        gap=answer.gap,
        surprised=answer.surprised,
        reason=answer.reason,
        comment=answer.comment if with_comment else None,
    )
