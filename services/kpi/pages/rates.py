"""Pages for people: the 17 rates against their targets, and the items behind each. It refreshes itself."""

from collections.abc import Collection, Mapping
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlencode

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from services.kpi.api.rates import READERS, EvidenceQuery, RatesQuery, load_evidence, scorecard_as_of
from services.kpi.domain.fact_subjects import TIMELINES
from services.kpi.domain.rates import RATE_BY_KPI, Figure, Side
from services.kpi.domain.windows import WINDOWS, window_start
from services.kpi.domain.word_of_mouth import REASONS, WordOfMouth
from services.kpi.pages import formatting
from services.kpi.queries.scorecards import Scorecard
from shared.auth import Identity
from shared.errors import NotFound
from shared.host import Host
from shared.http.parameters import only_property, read_query, require_property
from shared.http.requests import language_of
from shared.pages.layout import PageRenderer
from shared.pages.texts import require_texts
from shared.properties.targets import Milestone

SHEET = Path(__file__).resolve().parent / "static" / "rates.css"
AREAS = ("customer_service", "security", "maintenance", "cleaning", "greening")
_KEYS_BY_DATA: Mapping[str, Collection[str]] = {
    "window": WINDOWS,
    "area": AREAS,
    "side": get_args(Side),
    "reason": tuple(REASONS),
    "milestone": ("reached", "late", "open"),
    "counted": {*formatting.COUNTED.values(), "answers"},
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
            Route("/rates", self._pages.signed_in(self._rates, *READERS), methods=["GET"]),
            Route("/rates/rates.css", self._sheet, methods=["GET"]),
            Route("/rates/{kpi}", self._pages.signed_in(self._evidence, *READERS), methods=["GET"]),
        ]

    async def _sheet(self, _: Request) -> Response:
        return FileResponse(SHEET, media_type="text/css", headers={"X-Content-Type-Options": "nosniff"})

    async def _rates(self, request: Request, identity: Identity) -> Response:
        asked = read_query(request, RatesQuery, beside=("lang",))
        seen = [prop for prop in self._service.properties.values() if identity.sees(prop.id)]
        if not seen:
            return self._pages.render(request, "rates.html", identity=identity, board=None)
        prop = require_property(self._service.properties, identity, asked.property or seen[0].id)
        board = await scorecard_as_of(self._service, prop, asked.at)
        shown_board = _rates_context(board, asked, language_of(request))
        return self._pages.render(
            request, "rates.html", identity=identity, board=shown_board, properties=seen, windows=WINDOWS
        )

    async def _evidence(self, request: Request, identity: Identity) -> Response:
        asked = read_query(request, EvidenceQuery, beside=("lang",))
        rate, language = RATE_BY_KPI.get(request.path_params["kpi"]), language_of(request)
        if rate is None:
            raise NotFound
        prop = only_property(self._service.properties, identity, asked.property)
        figure, told = await load_evidence(self._service, prop, rate, asked, language)
        return self._pages.render(
            request,
            "evidence.html",
            identity=identity,
            told=told,
            row=_row(figure, language),
            kinds=self._service.kinds,
            property=prop,
            sides={side: _link(rate.kpi, asked, prop.id, side) for side in get_args(Side)},
            following=_link(rate.kpi, asked, prop.id, asked.side, told.next) if told.next else None,
            local=lambda moment: formatting.format_local_time(moment, prop.timezone),
        )


class RateRow(Struct, frozen=True, kw_only=True):
    """One rate as a row."""

    kpi: str
    name: str
    area: str
    percent: str
    target: str
    bound: str
    numerator: str
    denominator: str
    counted: str
    met: bool | None

    @property
    def tone(self) -> str:
        """How it stands, in a word that style sheets know."""
        return "none" if self.met is None else "good" if self.met else "bad"


def _rates_context(board: Scorecard, asked: RatesQuery, language: str) -> dict[str, Any]:
    """What the page shows of a board."""
    told = [_row(figure, language) for figure in board.figures[asked.window]]
    rows = sorted(told, key=lambda row: AREAS.index(row.area))
    mood = board.moods[asked.window]
    return {
        "property": board.property,
        "window": asked.window,
        "at": _text(asked.at),
        "as_of": formatting.format_local_time(board.as_of, board.property.timezone),
        "since": _since(board, asked),
        "areas": [(area, list(of)) for area, of in groupby(rows, key=lambda row: row.area)],
        "met": sum(row.met is True for row in rows),
        "missed": [row for row in rows if row.met is False],
        "none": sum(row.met is None for row in rows),
        "mood": mood,
        "reasons": _reasons(mood),
        "milestones": [_milestone(m, board, language) for m in board.property.milestones],
    }


def _since(board: Scorecard, asked: RatesQuery) -> str:
    """The first day of the window."""
    start = window_start(asked.window, board.as_of, board.property.timezone)
    return board.property.local_day(start).isoformat()


def _row(figure: Figure, language: str) -> RateRow:
    numerator, denominator = formatting.format_counts(figure)
    target = figure.target
    return RateRow(
        kpi=figure.rate.kpi,
        name=target.name if language == "zh" else target.name_en,
        area=target.area,
        percent=formatting.format_percent(figure.ratio, target.bound),
        target=formatting.format_target(target),
        bound=target.bound,
        numerator=numerator,
        denominator=denominator,
        counted=formatting.COUNTED.get(figure.rate.kpi, "answers"),
        met=figure.met,
    )


def _reasons(mood: WordOfMouth) -> list[dict[str, Any]]:
    """Each reason with its share beside the one known from the trade."""
    return [
        {
            "reason": reason,
            "count": mood.reasons[reason],
            "share": formatting.format_share(mood.reasons[reason], mood.dissatisfied),
            "known": None if known is None else f"{100 * known:.0f} %",
        }
        for reason, known in REASONS.items()
    ]


def _milestone(milestone: Milestone, board: Scorecard, language: str) -> dict[str, Any]:
    reached = milestone.reached(board.property.local_day(board.as_of))
    return {
        "name": milestone.name if language == "zh" else milestone.name_en,
        "on": milestone.deadline_on.isoformat(),
        "state": "reached" if reached else "late" if milestone.deadline_at <= board.as_of else "open",
    }


def _link(kpi: str, asked: EvidenceQuery, property_id: str, side: Side, cursor: str | None = None) -> str:
    """The page of one side of a rate's evidence."""
    told = {
        "property": property_id,
        "window": asked.window,
        "at": _text(asked.at),
        "side": side,
        "cursor": cursor,
    }
    return f"/rates/{kpi}?" + urlencode({name: value for name, value in told.items() if value})


def _text(at: datetime | None) -> str | None:
    """An instant as a link names it."""
    return at.isoformat() if at else None
