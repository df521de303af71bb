"""Pages for people: Chinese first and English, one layout, strict headers, sign-in by key or by link."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import js_lib_htmx
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from shared.auth import SESSION_SECONDS, Identity, Keyring
from shared.errors import NotAllowed, NotSignedIn, Problem
from shared.http.authentication import SESSION_COOKIE, Authenticator
from shared.http.problems import as_problem
from shared.http.requests import language_of, read_body, same_origin
from shared.pages.texts import load_texts

HERE = Path(__file__).resolve().parent
HTMX = Path(js_lib_htmx.__file__).resolve().parent / "static" / "htmx"
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'; manifest-src 'self'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}


class PageRenderer:
    """A service's pages: its templates over the shared ones, its texts over the shared ones."""

    def __init__(self, authenticator: Authenticator, folder: Path | None = None) -> None:
        folders = [*([folder / "templates"] if folder else []), HERE / "templates"]
        self.environment = Environment(
            loader=ChoiceLoader([FileSystemLoader(place) for place in folders]),
            autoescape=select_autoescape(default=True, default_for_string=True),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        own = folder / "texts.toml" if folder else None
        self.texts = load_texts(HERE / "texts.toml", *([own] if own and own.exists() else []))
        self._authenticator = authenticator

    def render(self, request: Request, template: str, *, status: int = 200, language: str | None = None,
               identity: Identity | None = None, **context: Any) -> HTMLResponse:  # fmt: skip
        """The page `template` in the reader's language, with `t(key, **values)` for texts."""
        language = language or language_of(request)

        def t(key: str, **values: Any) -> str:
            return self.texts[key][language].format(**values) if values else self.texts[key][language]

        html = self.environment.get_template(template).render(
            t=t,
            language=language,
            identity=identity,
            path=request.url.path,
            other_language=_other_language_link(request, language),
            **context,
        )
        response = HTMLResponse(html, status, headers=HEADERS)
        if request.query_params.get("lang") in ("zh", "en"):
            response.set_cookie("guanjia_lang", language, max_age=31_536_000, httponly=True, samesite="lax")
        return response

    def signed_in(self, show: Callable[[Request, Identity], Awaitable[Response]], *roles: str) -> Any:
        """`show` for those signed in with one of `roles` (none named: any); others are asked to sign in."""

        async def endpoint(request: Request) -> Response:
            try:
                identity = self._authenticator.identify(request)
                if roles and not identity.may(*roles):
                    raise NotAllowed("This page is for others.", "您没有权限查看此页面。")
                return await show(request, identity)
            except NotSignedIn:
                return _redirect_to_sign_in(request)
            except Exception as error:
                return self.problem(request, error)

        return endpoint

    def problem(self, request: Request, error: Exception) -> HTMLResponse:
        """A page that tells what is wrong; to a script that asks for a part of a page, that part."""
        problem = as_problem(error)
        document = problem.document(language_of(request))
        template = "problem_part.html" if "hx-request" in request.headers else "problem.html"
        return self.render(request, template, status=problem.status, problem=document)


def sign_in_routes(pages: PageRenderer, keyring: Keyring) -> list[Route | Mount]:
    """Sign-in, sign-out and the static files."""

    async def show(request: Request) -> Response:
        return pages.render(
            request, "sign_in.html", next=_local_path(request.query_params.get("next")), wrong=False
        )

    async def sign_in(request: Request) -> Response:
        try:
            form = await read_form(request)
        except Problem as problem:
            return pages.problem(request, problem)
        target = _local_path(form.get("next"))
        try:
            if not same_origin(request):
                raise NotSignedIn
            identity = (
                keyring.check_code(form["code"])
                if form.get("code")
                else keyring.check(form.get("key", "").strip())
            )
        except NotSignedIn:
            return pages.render(request, "sign_in.html", status=401, next=target, wrong=True)
        response = RedirectResponse(target, 303, headers=HEADERS)
        response.set_cookie(SESSION_COOKIE, keyring.session(identity), max_age=SESSION_SECONDS, httponly=True,
                            samesite="lax", secure=request.url.scheme == "https")  # fmt: skip
        return response

    async def sign_out(request: Request) -> Response:
        if not same_origin(request):
            return pages.problem(request, NotAllowed("Another site can't sign you out.", "不允许跨站请求。"))
        response = RedirectResponse("/sign-in", 303, headers=HEADERS)
        response.delete_cookie(SESSION_COOKIE)
        return response

    return [
        Route("/sign-in", show, methods=["GET"]),
        Route("/sign-in", sign_in, methods=["POST"]),
        Route("/sign-out", sign_out, methods=["POST"]),
        Mount("/static/htmx", StaticFiles(directory=HTMX)),
        Mount("/static", StaticFiles(directory=HERE / "static")),
    ]


async def read_form(request: Request) -> dict[str, str]:
    """What a form holds; of a field that is there twice, the last. Raises `TooLarge`, `Unreadable`."""
    body = await read_body(request, 64 * 1024)
    return dict(parse_qsl(body.decode("utf-8", "replace")))


def _redirect_to_sign_in(request: Request) -> Response:
    """Sign in and come back. A script is told to go there with the whole page."""
    asked = urlsplit(request.headers.get("hx-current-url") or str(request.url))
    target = "/sign-in?next=" + quote(asked.path + (f"?{asked.query}" if asked.query else ""), safe="")
    if "hx-request" in request.headers:
        return Response(status_code=401, headers=HEADERS | {"HX-Redirect": target})
    return RedirectResponse(target, 303, headers=HEADERS)


def _other_language_link(request: Request, language: str) -> str:
    """The address of this very page in the other language."""
    kept = [(name, value) for name, value in request.query_params.multi_items() if name != "lang"]
    return "?" + urlencode([*kept, ("lang", "en" if language == "zh" else "zh")])


def _local_path(target: str | None) -> str:
    """A path of our own, never another site."""
    if (
        not target
        or not target.startswith("/")
        or target.startswith(("//", "/\\"))
        or urlsplit(target).netloc
    ):
        return "/"
    return target
