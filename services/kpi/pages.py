"""Pages for people: the 17 rates against their targets, and the items behind each. It refreshes itself."""

from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar, get_args
from urllib.parse import urlencode

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from services.kpi import shown
from services.kpi.api import READERS, EvidenceAsked, RatesAsked, board_as_of, evidence_told
from services.kpi.asked import Page, property_asked
from services.kpi.figures import Board
from services.kpi.mood import REASONS, Mood
from services.kpi.rates import RATE_BY_KPI, Figure, Side
from services.kpi.windows import WINDOWS, window_start
from shared.auth import Identity
from shared.errors import InvalidInput, NotFound
from shared.pages import Pages
from shared.properties import Milestone
from shared.reading import field_error
from shared.service import Service
from shared.web import language_of

SHEET = Path(__file__).resolve().parent / "static" / "rates.css"
AREAS = ("customer_service", "security", "maintenance", "cleaning", "greening")
Asked = TypeVar("Asked", bound=RatesAsked)


class RatePages:
    """The pages of kpi for those who may read the rates."""

    def __init__(self, service: Service, pages: Pages) -> None:
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
        asked = _asked(request, RatesAsked)
        seen = [prop for prop in self._service.properties.values() if identity.sees(prop.id)]
        if not seen:
            return self._pages.render(request, "rates.html", identity=identity, board=None)
        prop = property_asked(self._service, identity, asked.property or seen[0].id)
        board = await board_as_of(self._service, prop, asked.at)
        shown_board = _board(board, asked, language_of(request))
        return self._pages.render(
            request, "rates.html", identity=identity, board=shown_board, properties=seen, windows=WINDOWS
        )

    async def _evidence(self, request: Request, identity: Identity) -> Response:
        asked = _asked(request, EvidenceAsked)
        rate, language = RATE_BY_KPI.get(request.path_params["kpi"]), language_of(request)
        if rate is None:
            raise NotFound
        prop = property_asked(self._service, identity, asked.property)
        page = Page.of(asked.cursor)
        board = await board_as_of(self._service, prop, page.as_of if page else asked.at)
        told = await evidence_told(self._service, board, rate, asked, page, language)
        figure = next(f for f in board.figures[asked.window] if f.rate is rate)
        return self._pages.render(
            request,
            "evidence.html",
            identity=identity,
            told=told,
            row=_row(figure, language),
            property=prop,
            sides={side: _link(rate.kpi, asked, prop.id, side) for side in get_args(Side)},
            following=_link(rate.kpi, asked, prop.id, asked.side, told.next) if told.next else None,
            local=lambda moment: shown.local(moment, prop.timezone),
        )


class RowShown(Struct, frozen=True, kw_only=True):
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


def _asked(request: Request, schema: type[Asked]) -> Asked:
    """The query, checked. Raises `InvalidInput`."""
    pairs = {name: value for name, value in request.query_params.items() if value and name != "lang"}
    try:
        return msgspec.convert(pairs, schema, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidInput(errors=[field_error(error)]) from None


def _board(board: Board, asked: RatesAsked, language: str) -> dict[str, Any]:
    """What the page shows of a board."""
    told = [_row(figure, language) for figure in board.figures[asked.window]]
    rows = sorted(told, key=lambda row: AREAS.index(row.area))
    mood = board.moods[asked.window]
    return {
        "property": board.property,
        "window": asked.window,
        "at": asked.at,
        "as_of": shown.local(board.as_of, board.property.timezone),
        "since": _since(board, asked),
        "areas": [(area, list(of)) for area, of in groupby(rows, key=lambda row: row.area)],
        "met": sum(row.met is True for row in rows),
        "missed": [row for row in rows if row.met is False],
        "none": sum(row.met is None for row in rows),
        "mood": mood,
        "reasons": _reasons(mood),
        "milestones": [_milestone(m, board, language) for m in board.property.milestones],
    }


def _since(board: Board, asked: RatesAsked) -> str:
    """The first day of the window."""
    start = window_start(asked.window, board.as_of, board.property.timezone)
    return board.property.local_day(start).isoformat()


def _row(figure: Figure, language: str) -> RowShown:
    numerator, denominator = shown.counts(figure)
    target = figure.target
    return RowShown(
        kpi=figure.rate.kpi,
        name=target.name if language == "zh" else target.name_en,
        area=target.area,
        percent=shown.percent(figure.ratio, target.bound),
        target=shown.target(target),
        bound=target.bound,
        numerator=numerator,
        denominator=denominator,
        counted=shown.COUNTED.get(figure.rate.kpi, "answers"),
        met=figure.met,
    )


def _reasons(mood: Mood) -> list[dict[str, Any]]:
    """Each reason with its share beside the one known from the trade."""
    return [
        {
            "reason": reason,
            "count": mood.reasons[reason],
            "share": shown.share(mood.reasons[reason], mood.dissatisfied),
            "known": None if known is None else f"{100 * known:.0f} %",
        }
        for reason, known in REASONS.items()
    ]


def _milestone(milestone: Milestone, board: Board, language: str) -> dict[str, Any]:
    reached = milestone.reached(board.property.local_day(board.as_of))
    return {
        "name": milestone.name if language == "zh" else milestone.name_en,
        "on": milestone.deadline_on.isoformat(),
        "state": "reached" if reached else "late" if milestone.deadline_at <= board.as_of else "open",
    }


def _link(kpi: str, asked: EvidenceAsked, property_id: str, side: Side, cursor: str | None = None) -> str:
    """The page of one side of a rate's evidence."""
    told = {"property": property_id, "window": asked.window, "at": asked.at, "side": side, "cursor": cursor}
    return f"/rates/{kpi}?" + urlencode({name: value for name, value in told.items() if value})
