"""Cases: lists, one whole, and the actions that people take on it."""

import re
from typing import Annotated, Any

from msgspec import Meta, Struct, field

from services.dispatch.api.roles import ACTORS, READERS
from services.dispatch.domain.case import ReportedAction
from services.dispatch.domain.commands import PerformAction
from services.dispatch.operations.case_actions import SubmittedAction
from services.dispatch.operations.context import DispatchContext
from services.dispatch.queries import cases
from services.dispatch.queries.cases import CaseFilter, StoredCase, get_reworks
from services.dispatch.queries.histories import get_histories
from services.dispatch.schemas import CaseDetail, CaseSummary, actor_for, describe_case, summarize_case
from shared.auth import Identity
from shared.errors import NotAllowed, NotFound
from shared.http.endpoints import Call, Endpoints, Reply
from shared.http.idempotency import request_digest
from shared.http.pagination import Cursor, Page, PageQuery
from shared.http.parameters import list_visible_properties
from shared.messages.facts import Instant, Kind, Word
from shared.telemetry import current_trace

_TAG = re.compile(r'(?:W/)?"?([0-9]{1,9})"?')
CURSOR = Cursor("cases", tuple[str])
endpoints = Endpoints()


class CasesQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which cases; all that are not named are left open."""

    property: Word | None = None
    kind: Kind | None = None
    state: Word | None = None
    is_open: bool | None = field(default=None, name="open")
    assignee: Word | None = None
    q: Annotated[str, Meta(max_length=100)] | None = None


class ActionRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An action: `at` is when it happened, `actor` who did it, where a dispatcher acts for somebody."""

    action: Word
    at: Instant | None = None
    data: dict[str, Any] | None = None
    actor: Word | None = None


@endpoints.add("GET", "/v1/cases", roles=READERS, summary=("工单列表", "Cases, the latest first"))
async def list_cases(call: Call[DispatchContext, CasesQuery, None]) -> Page[CaseSummary]:
    """A page of the cases that the caller sees."""
    query, context = call.query, call.context
    after = CURSOR.decode(query.cursor)
    if query.kind is not None:
        context.kinds.require(query.kind, "kind")
    which = CaseFilter(
        properties=list_visible_properties(context.properties, call.identity, query.property),
        kind=query.kind,
        state=query.state,
        is_open=query.is_open,
        assignee=query.assignee,
        words=query.q,
        before=after[0] if after else None,
        limit=query.limit + 1,
    )
    async with context.database.snapshot() as connection:
        stored = await cases.list_cases(connection, which)
    now = context.clock.now()
    return CURSOR.make_page(
        stored,
        query.limit,
        lambda one: (one.case.id,),
        lambda one: summarize_case(context.catalog, one.case, one.request, now),
    )


@endpoints.add("GET", "/v1/cases/{id}", roles=READERS, summary=("工单详情", "A case whole"))
async def get_case(call: Call[DispatchContext, None, None]) -> Reply[CaseDetail]:
    """The case with its history and what the caller may do now."""
    context, case_id = call.context, call.id()
    async with context.database.snapshot() as connection:
        stored = _require_visible(call.identity, await cases.get_case(connection, case_id))
        history = await get_histories(connection, [case_id])
        reworks = await get_reworks(connection, [case_id])
    past, now = (history[case_id], reworks.get(case_id, [])), context.clock.now()
    detail = describe_case(context.catalog, *stored, *past, call.identity, now)
    return Reply(detail, headers={"ETag": f'"{detail.version}"'})


@endpoints.add(
    "POST", "/v1/cases/{id}/actions", roles=ACTORS, keyed=True, reply=CaseDetail,
    summary=("执行操作", "Let a case take a step"),
)  # fmt: skip
async def post_action(call: Call[DispatchContext, None, ActionRequest]) -> Reply[bytes]:
    """The case after the action."""
    requested, identity, case_id = call.body, call.identity, call.id()
    if requested.actor not in (None, identity.actor) and not identity.has_role("dispatcher"):
        raise NotAllowed("This key may not act for somebody else.", "该密钥不能代他人操作。")
    submitted = SubmittedAction(
        identity=identity,
        perform=PerformAction(
            case=case_id,
            act=_reported_action(identity, requested),
            properties=identity.properties,
            if_match=_versions(call.request.headers.get("if-match")),
            for_somebody=requested.actor is not None,
            trace=current_trace(),
        ),
        key=call.idempotency_key,
        digest=request_digest(case_id, requested),
    )
    result = await call.context.case_actions.submit(submitted)
    return Reply(result.body, headers={"ETag": f'"{result.version}"'})


def _reported_action(identity: Identity, requested: ActionRequest) -> ReportedAction:
    return ReportedAction(
        action=requested.action,
        actor=actor_for(identity, requested.actor),
        at=requested.at,
        data=requested.data or {},
    )


def _require_visible(identity: Identity, stored: StoredCase | None) -> StoredCase:
    """A case of another property is as one that does not exist. Raises `NotFound`."""
    if stored is None or not identity.may_see(stored.case.property):
        raise NotFound
    return stored


def _versions(if_match: str | None) -> frozenset[int] | None:
    """The versions that `If-Match` allows; None: any."""
    if if_match is None or if_match.strip() == "*":
        return None
    tags = (_TAG.fullmatch(tag.strip()) for tag in if_match.split(","))
    return frozenset(int(tag[1]) for tag in tags if tag)
