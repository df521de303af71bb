"""What every endpoint and page reads of a request: its body within bounds, media type, language, origin."""

import asyncio

from starlette.requests import Request

from shared.errors import TooLarge, Unreadable

JSON = "application/json"
BODY_LIMIT = 64 * 1024
"""Bytes of a body, where an endpoint does not say otherwise."""
BODY_SECONDS = 15


def read_media_type(request: Request) -> str:
    """The content type without its parameters; JSON where none is given."""
    return request.headers.get("content-type", JSON).partition(";")[0].strip().lower()


def read_language(request: Request) -> str:
    """`zh` or `en`: the page's choice, else the first that the reader understands, else Chinese."""
    chosen = request.query_params.get("lang") or request.cookies.get("guanjia_lang") or ""
    for candidate in (chosen, *request.headers.get("accept-language", "").split(",")):
        tag = candidate.split(";")[0].strip().lower()[:2]
        if tag in ("zh", "en"):
            return tag
    return "zh"


def is_same_origin(request: Request) -> bool:
    """Whether a browser's request comes from our own pages."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is not None and origin.split("://", 1)[-1] == request.headers.get("host")


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body. Raises `TooLarge` beyond `limit` bytes, `Unreadable` where it does not come in time."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise TooLarge
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _receive_body(request, limit)
    except TimeoutError:
        raise Unreadable("The body did not arrive in time.", "请求体未能及时送达。") from None


async def _receive_body(request: Request, limit: int) -> bytes:
    chunks: list[bytes] = []
    size, more = 0, True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise Unreadable("The body did not arrive whole.", "请求体未能完整送达。")
        chunks.append(message.get("body", b""))
        more = message.get("more_body", False)
        size += len(chunks[-1])
        if size > limit:
            raise TooLarge
    return b"".join(chunks)
