"""The resident's form: opened by its link alone, in their language, on any phone, with or without scripts.
Unknown and expired links get the same reply; an answer can be corrected until the link expires."""

import unicodedata
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import get_args
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import Route

from services.survey import queries
from services.survey.domain.followup import DISSATISFIED, AttemptReport, FollowUp, ResidentAnswer
from services.survey.operations.attempts import SubmittedAttempt
from services.survey.operations.context import SurveyContext
from shared.auth import hash_token
from shared.errors import InvalidInput, NotFound, Unreadable
from shared.http.json_input import convert
from shared.http.problems import to_problem
from shared.http.rate_limit import RateLimiter
from shared.http.requests import read_body, read_language
from shared.messages.facts import Reason
from shared.pages.layout import HEADERS, Page, PageRenderer
from shared.pages.texts import require_texts
from shared.properties.property import Property

STYLESHEET = Path(__file__).resolve().parent / "static" / "form.css"
PER_FORM, PER_ADDRESS = "30/minute", "300/minute"
MAX_TOKEN = 64
FORM_BYTES = 32 * 1024
REASONS: tuple[Reason, ...] = get_args(Reason)
SCALES = ("rating", "expected", "perceived")


class FormPages:
    """The pages behind `/f/{token}`."""

    def __init__(self, service: SurveyContext, pages: PageRenderer) -> None:
        require_texts(pages.texts, "reason", REASONS)
        require_texts(pages.texts, "rating", range(1, 6))
        self._service, self._pages = service, pages
        self._per_form, self._per_address = RateLimiter(PER_FORM), RateLimiter(PER_ADDRESS)

    def routes(self) -> list[Route]:
        """The routes of the form."""
        return [
            Route("/f/form.css", self._stylesheet, methods=["GET"]),
            Route("/f/{token}", self._with_followup(self._show_form), methods=["GET"]),
            Route("/f/{token}", self._with_followup(self._post_answer), methods=["POST"]),
        ]

    async def _stylesheet(self, _: Request) -> Response:
        headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "public, max-age=3600"}
        return FileResponse(STYLESHEET, media_type="text/css", headers=headers)

    def _with_followup(self, page: Callable[[Request, FollowUp], Awaitable[Response]]) -> Page:
        """`page` for the follow-up that the token opens; else a page that says what is wrong."""

        async def endpoint(request: Request) -> Response:
            try:
                return await page(request, await self._get_followup(request))
            except Exception as error:
                return self._show_problem(request, error)

        return endpoint

    async def _get_followup(self, request: Request) -> FollowUp:
        """Raises NotFound for an unknown and for an expired token alike, TooManyRequests."""
        token: str = request.path_params["token"]
        self._per_address.check(request.client.host if request.client else "")
        if len(token) > MAX_TOKEN:
            raise NotFound
        self._per_form.check(hash_token(token))
        async with self._service.database.snapshot() as connection:
            followup = await queries.get_followup_by_token(connection, hash_token(token))
        if followup is None or followup.form_expires_at <= self._service.clock.now():
            raise NotFound
        return followup

    async def _show_form(self, request: Request, followup: FollowUp) -> Response:
        thanks = request.query_params.get("thanks") == "1" and followup.latest_answer is not None
        return self._render_form(request, followup, fill_form(followup), thanks=thanks)

    async def _post_answer(self, request: Request, followup: FollowUp) -> Response:
        fields = await read_form_fields(request)
        try:
            answer = read_answer(fields)
        except InvalidInput:
            return self._render_form(request, followup, fields, status=422)
        report = AttemptReport(outcome="answered", channel="form", answer=answer)
        await self._service.attempts.submit(
            SubmittedAttempt(followup=followup.id, report=report, identity=None)
        )
        language = choose_language(request, followup)
        return RedirectResponse(f"{request.url.path}?lang={language}&thanks=1", 303, headers=HEADERS)

    def _render_form(
        self,
        request: Request,
        followup: FollowUp,
        values: dict[str, str],
        *,
        thanks: bool = False,
        status: int = 200,
    ) -> Response:
        language, prop = choose_language(request, followup), self._service.properties.get(followup.property)
        name = "" if prop is None else (prop.name_en or prop.name) if language == "en" else prop.name
        page = self._pages.render(
            request,
            "form.html",
            status=status,
            language=language,
            building=name,
            followup=followup,
            about=self._describe_subject(followup, language, format_local_day(followup.since, prop)),
            reasons=REASONS,
            values=values,
            thanks=thanks,
            sorry=values.get("rating") in ("1", "2"),
            answered=followup.latest_answer is not None,
            expires_on=format_local_day(followup.form_expires_at, prop),
        )
        return forbid_indexing(page)

    def _describe_subject(self, followup: FollowUp, language: str, day: str) -> str:
        """What the follow-up is about, in the words of the kind's own file where it has some."""
        kinds = self._service.kinds
        entry = kinds.entries.get(followup.kind)
        if entry is not None and entry.form is not None:
            return entry.form.localize(language).format(day=day)
        text = self._pages.texts["form_about"][language]
        return text.format(kind=kinds.localize(followup.kind, language), day=day)

    def _show_problem(self, request: Request, error: Exception) -> Response:
        problem = to_problem(error)
        document = problem.document(read_language(request))
        gone = isinstance(problem, NotFound)
        page = self._pages.render(
            request, "form_problem.html", status=problem.status, problem=document, gone=gone
        )
        page.headers.update(problem.headers())
        return forbid_indexing(page)


def forbid_indexing(page: Response) -> Response:
    """A page that no search engine keeps."""
    page.headers["X-Robots-Tag"] = "noindex, nofollow"
    return page


def choose_language(request: Request, followup: FollowUp) -> str:
    """`zh` or `en`: as chosen on the page, else the resident's own, else the browser's."""
    if request.query_params.get("lang") not in ("zh", "en") and followup.language:
        return "zh" if followup.language.lower().startswith("zh") else "en"
    return read_language(request)


def format_local_day(at: datetime, prop: Property | None) -> str:
    """The day as the property's calendar has it."""
    return str(prop.local_day(at) if prop else at.date())


async def read_form_fields(request: Request) -> dict[str, str]:
    """The fields of the form: text in its normal form, empty fields left out."""
    body = await read_body(request, FORM_BYTES)
    try:
        pairs = parse_qsl(body.decode(), max_num_fields=20)
    except ValueError:
        raise Unreadable("The form can't be read.", "表单无法读取。") from None
    texts = {name: unicodedata.normalize("NFC", value.replace("\x00", "")).strip() for name, value in pairs}
    return {name: text for name, text in texts.items() if text}


def read_answer(fields: dict[str, str]) -> ResidentAnswer:
    """The answer that the form gives. Raises InvalidInput without a rating or for a wrong field."""
    values: dict[str, object] = {
        name: fields[name] for name in (*SCALES, "reason", "comment") if name in fields
    }
    values["surprised"] = fields.get("surprised") == "yes"
    if fields.get("rating") not in [str(rating) for rating in range(1, DISSATISFIED + 1)]:
        values.pop("reason", None)
    return convert(values, ResidentAnswer, strict=False)


def fill_form(followup: FollowUp) -> dict[str, str]:
    """The latest answer as the form's fields; the comment only where the resident wrote it here."""
    attempt = followup.latest_answer
    if attempt is None or attempt.answer is None:
        return {}
    answer = attempt.answer
    values = {
        "rating": answer.rating,
        "expected": answer.expected,
        "perceived": answer.perceived,
        "reason": answer.reason,
        "surprised": "yes" if answer.surprised else None,
        "comment": answer.comment if attempt.channel == "form" else None,
    }
    return {name: str(value) for name, value in values.items() if value is not None}
