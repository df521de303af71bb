"""Signing in to the pages by a key or by a link, signing out, and the static files."""

from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import js_lib_htmx
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from shared.auth import SESSION_SECONDS, Keyring
from shared.errors import NotAllowed, NotSignedIn, Problem
from shared.http.authentication import SESSION_COOKIE
from shared.http.requests import is_same_origin, read_body
from shared.pages.layout import HEADERS, HERE, PageRenderer

HTMX = Path(js_lib_htmx.__file__).resolve().parent / "static" / "htmx"


def sign_in_routes(pages: PageRenderer, keyring: Keyring) -> list[Route | Mount]:
    """Sign-in, sign-out and the static files."""

    async def show_form(request: Request) -> Response:
        return pages.render(
            request, "sign_in.html", next=_local_path(request.query_params.get("next")), wrong=False
        )

    async def sign_in(request: Request) -> Response:
        try:
            form = await read_form(request)
        except Problem as problem:
            return pages.render_problem(request, problem)
        target = _local_path(form.get("next"))
        try:
            if not is_same_origin(request):
                raise NotSignedIn
            identity = (
                keyring.check_sign_in_code(form["code"])
                if form.get("code")
                else keyring.check_key(form.get("key", "").strip())
            )
        except NotSignedIn:
            return pages.render(request, "sign_in.html", status=401, next=target, wrong=True)
        response = RedirectResponse(target, 303, headers=HEADERS)
        response.set_cookie(
            SESSION_COOKIE,
            keyring.issue_session(identity),
            max_age=SESSION_SECONDS,
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )
        return response

    async def sign_out(request: Request) -> Response:
        if not is_same_origin(request):
            return pages.render_problem(
                request, NotAllowed("Another site can't sign you out.", "不允许跨站请求。")
            )
        response = RedirectResponse("/sign-in", 303, headers=HEADERS)
        response.delete_cookie(SESSION_COOKIE)
        return response

    return [
        Route("/sign-in", show_form, methods=["GET"]),
        Route("/sign-in", sign_in, methods=["POST"]),
        Route("/sign-out", sign_out, methods=["POST"]),
        Mount("/static/htmx", StaticFiles(directory=HTMX)),
        Mount("/static", StaticFiles(directory=HERE / "static")),
    ]


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form; of a field that is there twice, the last. Raises `TooLarge`, `Unreadable`."""
    body = await read_body(request, 64 * 1024)
    return dict(parse_qsl(body.decode("utf-8", "replace")))


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
