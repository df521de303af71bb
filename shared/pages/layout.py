"""Pages for people: Chinese first and English, one layout, strict headers; and who may see them."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from shared.auth import Identity
from shared.errors import NotAllowed, NotSignedIn
from shared.http.authentication import Authenticator
from shared.http.problems import to_problem
from shared.http.requests import read_language
from shared.pages.texts import load_texts

HERE = Path(__file__).resolve().parent
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

Page = Callable[[Request], Awaitable[Response]]


class PageRenderer:
    """A service's pages: its templates over the shared ones, its texts over the shared ones."""

    def __init__(self, authenticator: Authenticator, folder: Path | None = None) -> None:
        folders = [*([folder / "templates"] if folder else []), HERE / "templates"]
        self.environment = Environment(
            loader=ChoiceLoader([FileSystemLoader(directory) for directory in folders]),
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
        language = language or read_language(request)

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

    def require_sign_in(self, show: Callable[[Request, Identity], Awaitable[Response]], *roles: str) -> Page:
        """`show` for those signed in with one of `roles` (none named: any); others are led to the sign-in."""

        async def page(request: Request) -> Response:
            try:
                identity = self._authenticator.identify(request)
                if roles and not identity.has_role(*roles):
                    raise NotAllowed("This page is for others.", "您没有权限查看此页面。")
                return await show(request, identity)
            except NotSignedIn:
                return redirect_to_sign_in(request)
            except Exception as error:
                return self.render_problem(request, error)

        return page

    def render_problem(self, request: Request, error: Exception) -> HTMLResponse:
        """A page that says what is wrong; for a script that fetches a part of a page, that part."""
        problem = to_problem(error)
        document = problem.document(read_language(request))
        template = "problem_part.html" if "hx-request" in request.headers else "problem.html"
        return self.render(request, template, status=problem.status, problem=document)


def redirect_to_sign_in(request: Request) -> Response:
    """Lead to the sign-in and back; a script is led there with the whole page."""
    current = urlsplit(request.headers.get("hx-current-url") or str(request.url))
    target = "/sign-in?next=" + quote(current.path + (f"?{current.query}" if current.query else ""), safe="")
    if "hx-request" in request.headers:
        return Response(status_code=401, headers=HEADERS | {"HX-Redirect": target})
    return RedirectResponse(target, 303, headers=HEADERS)


def _other_language_link(request: Request, language: str) -> str:
    """The address of this very page in the other language."""
    others = [(name, value) for name, value in request.query_params.multi_items() if name != "lang"]
    return "?" + urlencode([*others, ("lang", "en" if language == "zh" else "zh")])
