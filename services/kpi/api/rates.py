"""What kpi answers over HTTP: every rate as of any instant, and the very items behind each."""

from datetime import UTC, datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import Row

from services.kpi.domain.definitions import DEFINITIONS
from services.kpi.domain.items import from_micros
from services.kpi.domain.rates import RATE_BY_KPI, RATES, Figure, Rate, Side, decimal_text
from services.kpi.domain.windows import Window, window_start
from services.kpi.operations.context import KpiContext
from services.kpi.queries.evidence import (
    EvidenceFilter,
    EvidencePosition,
    demand_kind,
    list_evidence_rows,
    position_of,
)
from services.kpi.queries.scorecards import Scorecard, load_scorecard
from shared.auth import Role
from shared.errors import NotFound
from shared.host import Host
from shared.http.endpoints import Call, Endpoints
from shared.http.pagination import Cursor, Page, PageQuery, not_a_cursor
from shared.http.parameters import only_property
from shared.http.requests import language_of
from shared.messages.facts import Instant
from shared.properties.property import Property
from shared.properties.targets import Bound

READERS: tuple[Role, ...] = ("manager", "quality", "operations", "dispatcher", "admin")
endpoints = Endpoints()
RATES_CURSOR = Cursor("kpis", tuple[str])
EVIDENCE_CURSOR = Cursor("evidence", tuple[str, datetime, int, str, str, int])
"""The rate, the instant of the first page, and the position of its last item."""


class RatesQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which rates, and as of when; without `at`: now. One to come tells what will be if nothing happens."""

    property: str | None = None
    window: Window = "month"
    at: Instant | None = None


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


class EvidenceItem(Struct, frozen=True, kw_only=True):
    """One item that was counted: what it is, when it counts, and what it came to on both sides.

    `demand_kind` is the kind of the demand that it belongs to.
    """

    kind: str
    id: str
    demand_kind: str | None
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


@endpoints.add("GET", "/v1/kpis", roles=READERS, summary=("服务承诺指标", "The target rates of a property"))
async def list_rates(call: Call[KpiContext, RatesQuery, None]) -> Page[RateResponse]:
    """Every rate of a property in a window, as of now or another instant."""
    query, language = call.query, language_of(call.request)
    prop = only_property(call.context.properties, call.identity, query.property)
    scorecard = await scorecard_as_of(call.context, prop, query.at)
    rest = scorecard.figures[query.window][_rates_before(query.cursor) :]
    return RATES_CURSOR.page(
        rest[: query.limit + 1],
        query.limit,
        lambda figure: (figure.rate.kpi,),
        lambda figure: rate_response(scorecard, query.window, figure, language),
    )


def _rates_before(cursor: str | None) -> int:
    """How many rates come before the page that `cursor` names. Raises `InvalidInput`."""
    position = RATES_CURSOR.decode(cursor)
    if position is None:
        return 0
    names: list[str] = [rate.kpi for rate in RATES]
    if position[0] not in names:
        raise not_a_cursor()
    return names.index(position[0]) + 1


@endpoints.add(
    "GET", "/v1/kpis/{kpi}/evidence", roles=READERS,
    summary=("指标依据：逐项明细", "The very items that were counted"),
)  # fmt: skip
async def list_evidence(call: Call[KpiContext, EvidenceQuery, None]) -> EvidencePage:
    """The items behind a rate; all pages are as of the first page's instant."""
    rate = RATE_BY_KPI.get(call.path["kpi"])
    if rate is None:
        raise NotFound
    prop = only_property(call.context.properties, call.identity, call.query.property)
    _, page = await load_evidence(call.context, prop, rate, call.query, language_of(call.request))
    return page


async def load_evidence(
    context: Host, prop: Property, rate: Rate, query: EvidenceQuery, language: str
) -> tuple[Figure, EvidencePage]:
    """The rate and a page of evidence, in `language` (`zh` or `en`)."""
    after = EVIDENCE_CURSOR.decode(query.cursor)
    if after is not None and after[0] != rate.kpi:
        raise not_a_cursor()
    scorecard = await scorecard_as_of(context, prop, after[1] if after else query.at)
    start = window_start(query.window, scorecard.as_of, prop.timezone)
    which = EvidenceFilter(prop.id, rate, query.side, start, scorecard.as_of)
    async with context.database.snapshot() as connection:
        position = EvidencePosition(*after[2:]) if after else None
        rows = await list_evidence_rows(connection, which, position, query.limit + 1)
    page = EVIDENCE_CURSOR.page(
        rows,
        query.limit,
        lambda row: (rate.kpi, scorecard.as_of, *position_of(row)),
        lambda row: _item(row, rate),
    )
    figure = next(f for f in scorecard.figures[query.window] if f.rate is rate)
    return figure, EvidencePage(
        figure=rate_response(scorecard, query.window, figure, language),
        definition=DEFINITIONS[rate.kpi][0 if language == "zh" else 1],
        side=query.side,
        items=page.items,
        next=page.next,
    )


async def scorecard_as_of(context: Host, prop: Property, at: datetime | None) -> Scorecard:
    """A property's rates as of `at`, or now."""
    as_of = (at or context.clock.now()).astimezone(UTC)
    async with context.database.snapshot() as connection:
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
        demand_kind=demand_kind(row),
        case=row.case_id or None,
        number=row.number,
        at=from_micros(row.counted_at),
        numerator=decimal_text(row.good_of_it, rate.scale),
        denominator=decimal_text(row.came_to, rate.scale),
    )
