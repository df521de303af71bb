"""What kpi answers over HTTP: the 17 rates as of any instant, and the very items behind each."""

from datetime import datetime
from typing import Annotated, Any

from msgspec import Meta, Struct
from sqlalchemy import Row

from services.kpi.api.query_parameters import (
    Cursor,
    EvidenceCursor,
    Moment,
    parse_instant,
    rates_offset,
    require_property,
)
from services.kpi.domain.definitions import DEFINITIONS
from services.kpi.domain.items import from_micros
from services.kpi.domain.rates import RATE_BY_KPI, RATES, Figure, Rate, Side, decimal_text
from services.kpi.domain.windows import Window, window_start
from services.kpi.queries.evidence import EvidenceFilter, list_evidence_rows, position_of
from services.kpi.queries.scorecards import Scorecard, load_scorecard
from shared.auth import Role
from shared.errors import NotFound
from shared.http.endpoints import Call, Endpoints, language_of
from shared.properties.property import Property
from shared.properties.targets import Bound
from shared.service import Service

READERS: tuple[Role, ...] = ("manager", "quality", "operations", "dispatcher", "admin")
endpoints = Endpoints()


class RatesQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which rates, and as of when; without `at`: now. One to come tells what will be if nothing happens."""

    property: str | None = None
    window: Window = "month"
    at: Moment | None = None
    cursor: Cursor | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50


class EvidenceQuery(RatesQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which side of a rate."""

    side: Side = "denominator"


class RateResponse(Struct, frozen=True, kw_only=True):
    """A rate in a window. `rate` and `met` are null without a sample."""

    kpi: str
    name: str
    window: Window
    start: datetime
    end: datetime
    numerator: str
    denominator: str
    rate: float | None
    target: float
    bound: Bound
    met: bool | None


class RatesPage(Struct, frozen=True, kw_only=True):
    """All 17, in their order."""

    items: list[RateResponse]
    next: str | None


class EvidenceItem(Struct, frozen=True, kw_only=True):
    """One item that was counted: what it is, when it counts, and what it came to on both sides."""

    kind: str
    id: str
    case: str | None
    number: str | None
    at: datetime
    numerator: str
    denominator: str


class EvidencePage(Struct, frozen=True, kw_only=True):
    """The items behind a rate, the latest first, beside the rate and what it means."""

    figure: RateResponse
    definition: str
    side: Side
    items: list[EvidenceItem]
    next: str | None


@endpoints.add(
    "GET", "/v1/kpis", roles=READERS, query=RatesQuery, answer=RatesPage,
    summary=("十七项指标", "The 17 target rates of a property"),
)  # fmt: skip
async def list_rates(call: Call) -> RatesPage:
    """All 17 rates of a property in a window, as of now or a past instant."""
    asked: RatesQuery = call.query
    prop = require_property(call.service, call.identity, asked.property)
    board = await scorecard_as_of(call.service, prop, asked.at)
    language = language_of(call.request)
    begin = rates_offset(asked.cursor)
    page = board.figures[asked.window][begin : begin + asked.limit]
    more = begin + asked.limit < len(RATES)
    items = [rate_response(board, asked.window, figure, language) for figure in page]
    return RatesPage(items=items, next=items[-1].kpi if more else None)


@endpoints.add(
    "GET", "/v1/kpis/{kpi}/evidence", roles=READERS, query=EvidenceQuery, answer=EvidencePage,
    summary=("指标依据：逐项明细", "The very items that were counted"),
)  # fmt: skip
async def list_evidence(call: Call) -> EvidencePage:
    """The items behind a rate; all pages are as of the first page's instant."""
    asked: EvidenceQuery = call.query
    rate = RATE_BY_KPI.get(call.path["kpi"])
    if rate is None:
        raise NotFound
    prop = require_property(call.service, call.identity, asked.property)
    page = EvidenceCursor.of(asked.cursor)
    board = await scorecard_as_of(call.service, prop, page.as_of if page else asked.at)
    return await load_evidence_page(call.service, board, rate, asked, page, language_of(call.request))


async def load_evidence_page(
    service: Service,
    board: Scorecard,
    rate: Rate,
    asked: EvidenceQuery,
    page: EvidenceCursor | None,
    language: str,
) -> EvidencePage:
    """A page of evidence, in `language` (`zh` or `en`)."""
    start = window_start(asked.window, board.as_of, board.property.timezone)
    wanted = EvidenceFilter(board.property.id, rate, asked.side, start, board.as_of)
    async with service.database.snapshot() as connection:
        rows = await list_evidence_rows(connection, wanted, page.position if page else None, asked.limit + 1)
    shown = rows[: asked.limit]
    following = EvidenceCursor(board.as_of, position_of(shown[-1])) if len(rows) > asked.limit else None
    figure = next(f for f in board.figures[asked.window] if f.rate is rate)
    return EvidencePage(
        figure=rate_response(board, asked.window, figure, language),
        definition=DEFINITIONS[rate.kpi][0 if language == "zh" else 1],
        side=asked.side,
        items=[_item(row, rate) for row in shown],
        next=following.cursor() if following else None,
    )


async def scorecard_as_of(service: Service, prop: Property, at: str | datetime | None) -> Scorecard:
    """A property's rates as of `at` (as told by a caller, or known), or now."""
    as_of = parse_instant(at) if isinstance(at, str) else at or service.clock.now()
    async with service.database.snapshot() as connection:
        return await load_scorecard(connection, prop, as_of)


def rate_response(board: Scorecard, window: Window, figure: Figure, language: str) -> RateResponse:
    """A figure as it goes out."""
    return RateResponse(
        kpi=figure.rate.kpi,
        name=figure.target.name if language == "zh" else figure.target.name_en,
        window=window,
        start=window_start(window, board.as_of, board.property.timezone),
        end=board.as_of,
        numerator=decimal_text(figure.numerator, figure.rate.scale),
        denominator=decimal_text(figure.denominator, figure.rate.scale),
        rate=None if figure.ratio is None else float(figure.ratio),
        target=float(figure.target.target),
        bound=figure.target.bound,
        met=figure.met,
    )


def _item(row: Row[Any], rate: Rate) -> EvidenceItem:
    return EvidenceItem(
        kind=row.kind,
        id=row.thing,
        case=row.case_id or None,
        number=row.number,
        at=from_micros(row.counted_at),
        numerator=decimal_text(row.good_of_it, rate.scale),
        denominator=decimal_text(row.came_to, rate.scale),
    )
