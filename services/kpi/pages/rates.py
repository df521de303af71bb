"""Pages for people: the rates against their targets, and the items behind each. It refreshes itself."""

from collections.abc import Collection, Mapping
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import urlencode

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from services.kpi.api.rates import READERS, EvidenceQuery, RatesQuery, load_evidence, scorecard_as_of
from services.kpi.domain import formatting
from services.kpi.domain.fact_subjects import TIMELINES
from services.kpi.domain.rate import AREAS, Side
from services.kpi.domain.rates import RATES
from services.kpi.domain.reports import RateRow, make_report, make_row
from services.kpi.domain.scorecard import Scorecard
from services.kpi.domain.windows import WINDOWS, Window, window_start
from services.kpi.domain.word_of_mouth import REASONS, WordOfMouth
from shared.auth import Identity
from shared.errors import NotFound
from shared.host import Host
from shared.http.parameters import choose_property, read_query, require_property
from shared.http.requests import read_language
from shared.pages.layout import PageRenderer
from shared.pages.texts import require_texts
from shared.properties.milestones import Milestone
from shared.properties.property import Property

STYLES = Path(__file__).resolve().parent / "static" / "rates.css"
_KEYS_BY_DATA: Mapping[str, Collection[str]] = {
    "window": WINDOWS,
    "side": get_args(Side),
    "reason": tuple(REASONS),
    "milestone": ("reached", "late", "open"),
    "kind": {*TIMELINES, "bill", "case"},
}
"""Texts whose keys end in a value that data has."""


class RatePages:
    """The pages of kpi for those who may read the rates."""

    def __init__(self, service: Host, pages: PageRenderer) -> None:
        for prefix, values in _KEYS_BY_DATA.items():
            require_texts(pages.texts, prefix, values)
        self._service = service
        self._pages = pages

    def routes(self) -> list[Route]:
        """Their routes."""
        return [
            Route("/rates", self._pages.require_sign_in(self._show_rates, *READERS), methods=["GET"]),
            Route("/rates/rates.css", self._send_styles, methods=["GET"]),
            Route(
                "/rates/{kpi}", self._pages.require_sign_in(self._show_evidence, *READERS), methods=["GET"]
            ),
        ]

    async def _send_styles(self, _: Request) -> Response:
        return FileResponse(STYLES, media_type="text/css", headers={"X-Content-Type-Options": "nosniff"})

    async def _show_rates(self, request: Request, identity: Identity) -> Response:
        query = read_query(request, RatesQuery, beside=("lang",))
        visible = [prop for prop in self._service.properties.values() if identity.may_see(prop.id)]
        if not visible:
            return self._pages.render(request, "rates.html", identity=identity, scorecard=None)
        prop = require_property(self._service.properties, identity, query.property or visible[0].id)
        scorecard = await scorecard_as_of(self._service, prop, query.at)
        return self._pages.render(
            request,
            "rates.html",
            identity=identity,
            scorecard=_scorecard_view(scorecard, query, read_language(request)),
            properties=visible,
            windows=WINDOWS,
        )

    async def _show_evidence(self, request: Request, identity: Identity) -> Response:
        query = read_query(request, EvidenceQuery, beside=("lang",))
        rate, language = RATES.get(request.path_params["kpi"]), read_language(request)
        if rate is None:
            raise NotFound
        prop = choose_property(self._service.properties, identity, query.property)
        figure, page = await load_evidence(self._service, prop, rate, query, language)
        return self._pages.render(
            request,
            "evidence.html",
            identity=identity,
            page=page,
            row=make_row(figure, language),
            kinds=self._service.kinds,
            property=prop,
            sides={side: _link(rate.kpi, query, prop.id, side) for side in get_args(Side)},
            next_link=_link(rate.kpi, query, prop.id, query.side, page.next) if page.next else None,
            local=lambda moment: formatting.format_local_time(moment, prop.timezone),
        )


class AreaRates(Struct, frozen=True, kw_only=True):
    """The rates of an area."""

    id: str
    name: str
    rows: list[RateRow]


class ReasonShare(Struct, frozen=True, kw_only=True):
    """How many of the dissatisfied gave a reason, beside its share in the trade."""

    reason: str
    count: int
    share: str
    trade_share: str | None


class MilestoneView(Struct, frozen=True, kw_only=True):
    """A milestone as of the page's instant."""

    name: str
    on: str
    state: Literal["reached", "late", "open"]


class ScorecardView(Struct, frozen=True, kw_only=True):
    """What the page of the rates shows of a property in a window."""

    property: Property
    window: Window
    at: str | None
    as_of: str
    since: str
    areas: list[AreaRates]
    missed: list[RateRow]
    met: int
    without_sample: int
    word_of_mouth: WordOfMouth
    reasons: list[ReasonShare]
    milestones: list[MilestoneView]


def _scorecard_view(scorecard: Scorecard, query: RatesQuery, language: str) -> ScorecardView:
    rows = make_report(scorecard.figures[query.window], language)
    order = list(AREAS)
    rows.sort(key=lambda row: order.index(row.area))
    word_of_mouth = scorecard.word_of_mouth[query.window]
    return ScorecardView(
        property=scorecard.property,
        window=query.window,
        at=_text(query.at),
        as_of=formatting.format_local_time(scorecard.as_of, scorecard.property.timezone),
        since=_first_day(scorecard, query.window),
        areas=[
            AreaRates(id=area, name=AREAS[area].localize(language), rows=list(of_area))
            for area, of_area in groupby(rows, key=lambda row: row.area)
        ],
        missed=[row for row in rows if row.standing == "missed"],
        met=sum(row.standing == "met" for row in rows),
        without_sample=sum(row.standing == "no_sample" for row in rows),
        word_of_mouth=word_of_mouth,
        reasons=_reason_shares(word_of_mouth),
        milestones=[_milestone(m, scorecard, language) for m in scorecard.property.milestones],
    )


def _first_day(scorecard: Scorecard, window: Window) -> str:
    start = window_start(window, scorecard.as_of, scorecard.property.timezone)
    return scorecard.property.local_day(start).isoformat()


def _reason_shares(word_of_mouth: WordOfMouth) -> list[ReasonShare]:
    return [
        ReasonShare(
            reason=reason,
            count=word_of_mouth.reasons[reason],
            share=formatting.format_share(word_of_mouth.reasons[reason], word_of_mouth.dissatisfied),
            trade_share=None if share is None else f"{100 * share:.0f} %",
        )
        for reason, share in REASONS.items()
    ]


def _milestone(milestone: Milestone, scorecard: Scorecard, language: str) -> MilestoneView:
    reached = milestone.reached(scorecard.property.local_day(scorecard.as_of))
    return MilestoneView(
        name=milestone.name if language == "zh" else milestone.name_en,
        on=milestone.deadline_on.isoformat(),
        state="reached" if reached else "late" if milestone.deadline_at <= scorecard.as_of else "open",
    )


def _link(kpi: str, query: EvidenceQuery, property_id: str, side: Side, cursor: str | None = None) -> str:
    """The page of one side of a rate's evidence."""
    parameters = {
        "property": property_id,
        "window": query.window,
        "at": _text(query.at),
        "side": side,
        "cursor": cursor,
    }
    return f"/rates/{kpi}?" + urlencode({name: value for name, value in parameters.items() if value})


def _text(at: datetime | None) -> str | None:
    """An instant as a link names it."""
    return at.isoformat() if at else None
