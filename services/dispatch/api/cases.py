"""What dispatch answers over HTTP: cases and the steps they take, who is on shift, the stream of changes."""

import hashlib
import re
from collections import Counter
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct, field
from starlette.responses import Response, StreamingResponse

from services.dispatch import queries
from services.dispatch.domain.case import ReportedAction
from services.dispatch.domain.commands import PerformAction
from services.dispatch.operations.case_actions import SubmittedAction
from services.dispatch.operations.change_stream import parse_position
from services.dispatch.queries import CaseFilter, StoredCase
from services.dispatch.schemas import CaseDetail, CaseSummary, actor_for, describe_case, summarize_case
from shared.auth import Identity, Role
from shared.errors import InvalidInput, NotAllowed, NotFound
from shared.http.endpoints import Call, Endpoints, Reply
from shared.messages.facts import Kind
from shared.telemetry import current_trace

READERS: tuple[Role, ...] = ("engineer", "dispatcher", "quality", "operations", "manager")
ACTORS: tuple[Role, ...] = ("engineer", "dispatcher", "quality", "operations")
_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_TAG = re.compile(r'(?:W/)?"?([0-9]{1,9})"?')
Word = Annotated[str, Meta(min_length=1, max_length=64)]
Instant = Annotated[datetime, Meta(tz=True)]
endpoints = Endpoints()


class CasesQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which cases; all that are not told are left open."""

    property: Word | None = None
    kind: Kind | None = None
    state: Word | None = None
    is_open: bool | None = field(default=None, name="open")
    assignee: Word | None = None
    q: Annotated[str, Meta(max_length=100)] | None = None
    cursor: Annotated[str, Meta(max_length=64)] | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50


class CasePage(Struct, frozen=True):
    """A page of cases, the latest first."""

    items: list[CaseSummary]
    next: str | None


class ActionRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A step: `at` is when it happened, `actor` who did it, where a dispatcher acts for somebody."""

    action: Word
    at: Instant | None = None
    data: dict[str, Any] | None = None
    actor: Word | None = None


class RosterQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of which property, and as of when (None: now)."""

    property: Word
    at: Instant | None = None


class PersonOnShift(Struct, frozen=True, kw_only=True):
    """Somebody who is on shift; `load` is how many jobs occupy them now."""

    id: str
    name: str
    name_en: str
    roles: list[str]
    skills: list[str]
    rung: int
    load: int


class RosterPage(Struct, frozen=True, kw_only=True):
    """Who is on shift."""

    property: str
    at: datetime
    items: list[PersonOnShift]
    next: str | None = None


class StreamQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of which property (None: all that the key sees)."""

    property: Word | None = None


def visible_properties(identity: Identity, asked: str | None) -> list[str] | None:
    """The properties to look in; None: all. Raises NotAllowed for one that is not the caller's."""
    if asked is not None:
        identity.require_property(asked)
        return [asked]
    return None if identity.properties is None else sorted(identity.properties)


@endpoints.add(
    "GET",
    "/v1/cases",
    roles=READERS,
    summary=("工单列表", "Cases, the latest first"),
    query=CasesQuery,
    answer=CasePage,
)
async def list_cases(call: Call) -> CasePage:
    """A page of the cases that the caller sees."""
    query: CasesQuery = call.query
    if query.cursor is not None and not _ID.fullmatch(query.cursor):
        raise InvalidInput.of("cursor", "This is no cursor of this list", "无效的翻页游标")
    wanted = CaseFilter(
        properties=visible_properties(call.identity, query.property),
        kind=query.kind,
        state=query.state,
        is_open=query.is_open,
        assignee=query.assignee,
        words=query.q,
        before=query.cursor,
        limit=query.limit + 1,
    )
    async with call.service.database.snapshot() as connection:
        found = await queries.list_cases(connection, wanted)
    page, now = found[: query.limit], call.service.clock.now()
    items = [summarize_case(call.service.catalog, case, request, now) for case, request in page]
    return CasePage(items, items[-1].id if len(found) > query.limit else None)


# Before /v1/cases/{id}: routes are tried in their order.
@endpoints.add(
    "GET",
    "/v1/cases/stream",
    roles=READERS,
    summary=("工单变更流（SSE）", "Changes as server-sent events, resumable with Last-Event-ID"),
    query=StreamQuery,
)
async def get_change_stream(call: Call) -> Response:
    """Every step of every case that the caller sees, from now or from `Last-Event-ID` on."""
    properties = visible_properties(call.identity, call.query.property)
    after = parse_position(call.request.headers.get("last-event-id"))
    seen = None if properties is None else frozenset(properties)
    events = call.service.stream.watch(after, lambda name: seen is None or name in seen)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(events, media_type="text/event-stream", headers=headers)


@endpoints.add(
    "GET", "/v1/cases/{id}", roles=READERS, summary=("工单详情", "A case whole"), answer=CaseDetail
)
async def get_case(call: Call) -> Reply:
    """The case with its history and what the caller may do now."""
    service, case_id = call.service, _case_id(call)
    async with service.database.snapshot() as connection:
        found = _require_visible(call.identity, await queries.get_case(connection, case_id))
        history = await queries.get_histories(connection, [case_id])
        reworks = await queries.get_reworks(connection, [case_id])
    told = history[case_id], reworks.get(case_id, [])
    view = describe_case(service.catalog, *found, *told, call.identity, service.clock.now())
    return Reply(view, headers={"ETag": f'"{view.version}"'})


@endpoints.add(
    "POST",
    "/v1/cases/{id}/actions",
    roles=ACTORS,
    summary=("执行操作", "Let a case take a step; Idempotency-Key makes asking again harmless"),
    body=ActionRequest,
    answer=CaseDetail,
)
async def post_action(call: Call) -> Response:
    """The case after the step."""
    asked: ActionRequest = call.body
    identity, case_id = call.identity, _case_id(call)
    if asked.actor not in (None, identity.actor) and not identity.may("dispatcher"):
        raise NotAllowed("This key may not act for somebody else.", "该密钥不能代他人操作。")
    perform = PerformAction(
        case=case_id,
        act=ReportedAction(
            action=asked.action, actor=actor_for(identity, asked.actor), at=asked.at, data=asked.data or {}
        ),
        properties=identity.properties,
        if_match=_versions(call.request.headers.get("if-match")),
        for_somebody=asked.actor is not None,
        trace=current_trace(),
    )
    key = call.idempotency_key
    answer = await call.service.case_actions.submit(
        SubmittedAction(identity=identity, perform=perform, key=key, digest=_digest(case_id, asked))
    )
    return Response(answer.body, 200, {"ETag": f'"{answer.version}"'}, media_type="application/json")


@endpoints.add(
    "GET",
    "/v1/roster",
    roles=READERS,
    summary=("当班人员", "Who is on shift, with skills and load"),
    query=RosterQuery,
    answer=RosterPage,
)
async def get_roster(call: Call) -> RosterPage:
    """Who is on shift at an instant."""
    query: RosterQuery = call.query
    call.identity.require_property(query.property)
    prop = call.service.catalog.property(query.property)
    at = query.at or call.service.clock.now()
    async with call.service.database.snapshot() as connection:
        loads = (await queries.open_jobs_by_person(connection, [prop.id])).get(prop.id, Counter())
    items = [
        PersonOnShift(
            id=person.id,
            name=person.name,
            name_en=person.name_en,
            roles=list(person.roles),
            skills=person.skills,
            rung=person.rung,
            load=loads.get(person.id, 0),
        )
        for person in prop.on_shift(at)
    ]
    return RosterPage(property=prop.id, at=at, items=items)


def _case_id(call: Call) -> str:
    """The id in the path; what is no id names no case."""
    case_id = call.path["id"]
    if not _ID.fullmatch(case_id):
        raise NotFound
    return case_id.lower()


def _require_visible(identity: Identity, found: StoredCase | None) -> StoredCase:
    """A case of another property answers as one that does not exist."""
    if found is None or not identity.sees(found.case.property):
        raise NotFound
    return found


def _versions(if_match: str | None) -> frozenset[int] | None:
    """The versions that `If-Match` allows; None: any."""
    if if_match is None or if_match.strip() == "*":
        return None
    tags = (_TAG.fullmatch(tag.strip()) for tag in if_match.split(","))
    return frozenset(int(tag[1]) for tag in tags if tag)


def _digest(case_id: str, asked: ActionRequest) -> str:
    return hashlib.sha256(msgspec.json.encode((case_id, asked), order="deterministic")).hexdigest()
