"""What kpi answers over HTTP: the 17 rates as of any instant, and the very items behind each."""

from datetime import datetime
from typing import Annotated, Any

from msgspec import Meta, Struct
from sqlalchemy import Row

from services.kpi import queries
from services.kpi.asked import Cursor, Moment, Page, instant_asked, property_asked, rates_before
from services.kpi.definitions import DEFINITIONS
from services.kpi.figures import Board, board_of
from services.kpi.items import instant_of
from services.kpi.queries import Evidence
from services.kpi.rates import RATE_BY_KPI, RATES, Figure, Rate, Side, decimal_text
from services.kpi.windows import Window, window_start
from shared.auth import Role
from shared.errors import NotFound
from shared.properties import Property
from shared.properties.targets import Bound
from shared.service import Service
from shared.web import Call, Endpoints, language_of

READERS: tuple[Role, ...] = ("manager", "quality", "operations", "dispatcher", "admin")
endpoints = Endpoints()


class RatesAsked(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which rates, and as of when; without `at`: now. One to come tells what will be if nothing happens."""

    property: str | None = None
    window: Window = "month"
    at: Moment | None = None
    cursor: Cursor | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50


class EvidenceAsked(RatesAsked, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which side of a rate."""

    side: Side = "denominator"


class RateTold(Struct, frozen=True, kw_only=True):
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


class RatesTold(Struct, frozen=True, kw_only=True):
    """All 17, in their order."""

    items: list[RateTold]
    next: str | None


class ItemTold(Struct, frozen=True, kw_only=True):
    """One item that was counted: what it is, when it counts, and what it came to on both sides."""

    kind: str
    id: str
    case: str | None
    number: str | None
    at: datetime
    numerator: str
    denominator: str


class EvidenceTold(Struct, frozen=True, kw_only=True):
    """The items behind a rate, the latest first, beside the rate and what it means."""

    figure: RateTold
    definition: str
    side: Side
    items: list[ItemTold]
    next: str | None


@endpoints.add(
    "GET", "/v1/kpis", roles=READERS, query=RatesAsked, answer=RatesTold,
    summary=("十七项指标", "The 17 target rates of a property"),
)  # fmt: skip
async def list_rates(call: Call) -> RatesTold:
    """All 17 rates of a property in a window, as of now or a past instant."""
    asked: RatesAsked = call.query
    prop = property_asked(call.service, call.identity, asked.property)
    board = await board_as_of(call.service, prop, asked.at)
    language = language_of(call.request)
    begin = rates_before(asked.cursor)
    page = board.figures[asked.window][begin : begin + asked.limit]
    more = begin + asked.limit < len(RATES)
    items = [told(board, asked.window, figure, language) for figure in page]
    return RatesTold(items=items, next=items[-1].kpi if more else None)


@endpoints.add(
    "GET", "/v1/kpis/{kpi}/evidence", roles=READERS, query=EvidenceAsked, answer=EvidenceTold,
    summary=("指标依据：逐项明细", "The very items that were counted"),
)  # fmt: skip
async def list_evidence(call: Call) -> EvidenceTold:
    """The items behind a rate; all pages are as of the first page's instant."""
    asked: EvidenceAsked = call.query
    rate = RATE_BY_KPI.get(call.path["kpi"])
    if rate is None:
        raise NotFound
    prop = property_asked(call.service, call.identity, asked.property)
    page = Page.of(asked.cursor)
    board = await board_as_of(call.service, prop, page.as_of if page else asked.at)
    return await evidence_told(call.service, board, rate, asked, page, language_of(call.request))


async def evidence_told(
    service: Service, board: Board, rate: Rate, asked: EvidenceAsked, page: Page | None, language: str
) -> EvidenceTold:
    """A page of evidence, in `language` (`zh` or `en`)."""
    start = window_start(asked.window, board.as_of, board.property.timezone)
    wanted = Evidence(board.property.id, rate, asked.side, start, board.as_of)
    async with service.database.read() as connection:
        rows = await queries.evidence(connection, wanted, page.position if page else None, asked.limit + 1)
    shown = rows[: asked.limit]
    following = Page(board.as_of, queries.position(shown[-1])) if len(rows) > asked.limit else None
    figure = next(f for f in board.figures[asked.window] if f.rate is rate)
    return EvidenceTold(
        figure=told(board, asked.window, figure, language),
        definition=DEFINITIONS[rate.kpi][0 if language == "zh" else 1],
        side=asked.side,
        items=[_item(row, rate) for row in shown],
        next=following.cursor() if following else None,
    )


async def board_as_of(service: Service, prop: Property, at: str | datetime | None) -> Board:
    """A property's rates as of `at` (as told by a caller, or known), or now."""
    as_of = instant_asked(at) if isinstance(at, str) else at or service.clock.now()
    async with service.database.read() as connection:
        return await board_of(connection, prop, as_of)


def told(board: Board, window: Window, figure: Figure, language: str) -> RateTold:
    """A figure as it goes out."""
    return RateTold(
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


def _item(row: Row[Any], rate: Rate) -> ItemTold:
    return ItemTold(
        kind=row.kind,
        id=row.thing,
        case=row.case_id or None,
        number=row.number,
        at=instant_of(row.counted_at),
        numerator=decimal_text(row.good_of_it, rate.scale),
        denominator=decimal_text(row.came_to, rate.scale),
    )
