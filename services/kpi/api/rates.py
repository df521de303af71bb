"""What kpi answers over HTTP: every rate as of any instant, and the very items behind each."""

from datetime import UTC, datetime

from msgspec import Struct

from services.kpi.domain.figures import Figure, decimal_text
from services.kpi.domain.items import from_micros
from services.kpi.domain.rate import Bound, Rate, Side
from services.kpi.domain.rates import RATES
from services.kpi.domain.scorecard import Scorecard
from services.kpi.domain.windows import Window, window_start
from services.kpi.operations.context import KpiContext
from services.kpi.queries.evidence import (
    CountedItem,
    EvidenceFilter,
    EvidencePosition,
    list_counted_items,
)
from services.kpi.queries.scorecards import load_scorecard
from shared.auth import Role
from shared.errors import NotFound
from shared.host import Host
from shared.http.endpoints import Call, Endpoints
from shared.http.pagination import Cursor, Page, PageQuery, refuse_cursor
from shared.http.parameters import choose_property
from shared.http.requests import read_language
from shared.messages.facts import Instant
from shared.properties.property import Property

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
    query, language = call.query, read_language(call.request)
    prop = choose_property(call.context.properties, call.identity, query.property)
    scorecard = await scorecard_as_of(call.context, prop, query.at)
    rest = scorecard.figures[query.window][_rates_before(query.cursor) :]
    return RATES_CURSOR.make_page(
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
    names = list(RATES)
    if position[0] not in names:
        raise refuse_cursor()
    return names.index(position[0]) + 1


@endpoints.add(
    "GET", "/v1/kpis/{kpi}/evidence", roles=READERS,
    summary=("指标依据：逐项明细", "The very items that were counted"),
)  # fmt: skip
async def list_evidence(call: Call[KpiContext, EvidenceQuery, None]) -> EvidencePage:
    """The items behind a rate; all pages are as of the first page's instant."""
    rate = RATES.get(call.path["kpi"])
    if rate is None:
        raise NotFound
    prop = choose_property(call.context.properties, call.identity, call.query.property)
    _, page = await load_evidence(call.context, prop, rate, call.query, read_language(call.request))
    return page


async def load_evidence(
    context: Host, prop: Property, rate: Rate, query: EvidenceQuery, language: str
) -> tuple[Figure, EvidencePage]:
    """The rate and a page of evidence, in `language` (`zh` or `en`)."""
    after = EVIDENCE_CURSOR.decode(query.cursor)
    if after is not None and after[0] != rate.kpi:
        raise refuse_cursor()
    as_of = ((after[1] if after else query.at) or context.clock.now()).astimezone(UTC)
    start = window_start(query.window, as_of, prop.timezone)
    which = EvidenceFilter(prop.id, rate, query.side, start, as_of)
    position = EvidencePosition(*after[2:]) if after else None
    async with context.database.snapshot() as connection:  # one, for the figure and what it counts
        scorecard = await load_scorecard(connection, prop, as_of)
        items = await list_counted_items(connection, which, position, query.limit + 1)
    page = EVIDENCE_CURSOR.make_page(
        items,
        query.limit,
        lambda item: (rate.kpi, scorecard.as_of, *item.position),
        lambda item: _evidence_item(item, rate),
    )
    figure = next(f for f in scorecard.figures[query.window] if f.rate is rate)
    return figure, EvidencePage(
        figure=rate_response(scorecard, query.window, figure, language),
        definition=rate.definition.localize(language),
        side=query.side,
        items=page.items,
        next=page.next,
    )


async def scorecard_as_of(context: Host, prop: Property, at: datetime | None) -> Scorecard:
    """A property's rates as of `at`, or now."""
    as_of = (at or context.clock.now()).astimezone(UTC)
    async with context.database.snapshot() as connection:
        return await load_scorecard(connection, prop, as_of)


def rate_response(scorecard: Scorecard, window: Window, figure: Figure, language: str) -> RateResponse:
    """A figure as it goes out."""
    return RateResponse(
        kpi=figure.rate.kpi,
        name=figure.rate.name.localize(language),
        window=window,
        start=window_start(window, scorecard.as_of, scorecard.property.timezone),
        end=scorecard.as_of,
        numerator=decimal_text(figure.numerator, figure.rate.unit.scale),
        denominator=decimal_text(figure.denominator, figure.rate.unit.scale),
        rate=None if figure.ratio is None else float(figure.ratio),
        target=float(figure.target),
        bound=figure.rate.bound,
        met=figure.met,
    )


def _evidence_item(item: CountedItem, rate: Rate) -> EvidenceItem:
    return EvidenceItem(
        kind=item.kind,
        id=item.subject,
        demand_kind=item.demand_kind,
        case=item.case or None,
        number=item.number,
        at=from_micros(item.counted_at),
        numerator=decimal_text(item.numerator, rate.unit.scale),
        denominator=decimal_text(item.denominator, rate.unit.scale),
    )
