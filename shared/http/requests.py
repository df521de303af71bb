"""A request as endpoints see it, and what is read of any: body in bounds, media type, language, origin."""

import asyncio
from collections.abc import Coroutine
from typing import Any, cast
from urllib.parse import parse_qsl

from starlette.requests import Request as PageRequest
from starlette.requests import cookie_parser
from starlette.types import Message, Receive, Scope

from shared.errors import TooLarge, Unreadable

JSON = "application/json"
BODY_LIMIT = 64 * 1024
"""Bytes of a body, where an endpoint does not say otherwise."""
BODY_SECONDS = 15


class Request:
    """A request to an endpoint, as the server tells of it: but for the headers nothing is read unasked.

    The names of `headers` are in lower case; of one that comes twice the first counts.
    """

    __slots__ = ("_query", "headers", "method", "receive")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.method: str = scope["method"]
        self.headers: dict[str, str] = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(scope["headers"])
        }
        self.receive = receive
        self._query: bytes = scope["query_string"]

    @property
    def query_params(self) -> dict[str, str]:
        """The parameters of the query; of one that comes twice the last counts."""
        return dict(parse_qsl(self._query.decode("latin-1"), keep_blank_values=True))

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies."""
        return cookie_parser(self.headers.get("cookie", ""))


AnyRequest = Request | PageRequest
"""That of an endpoint, or the framework's, which pages get: both are read alike."""


def read_media_type(request: AnyRequest) -> str:
    """The content type without its parameters; JSON where none is given."""
    return request.headers.get("content-type", JSON).partition(";")[0].strip().lower()


def read_language(request: AnyRequest) -> str:
    """`zh` or `en`: the page's choice, else the first that the reader understands, else Chinese."""
    chosen = request.query_params.get("lang") or request.cookies.get("guanjia_lang") or ""
    for candidate in (chosen, *request.headers.get("accept-language", "").split(",")):
        tag = candidate.split(";")[0].strip().lower()[:2]
        if tag in ("zh", "en"):
            return tag
    return "zh"


def is_same_origin(request: AnyRequest) -> bool:
    """Whether a browser's request comes from our own pages."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is not None and origin.split("://", 1)[-1] == request.headers.get("host")


async def read_body(request: AnyRequest, limit: int) -> bytes:
    """The whole body. Raises `TooLarge` beyond `limit` bytes, `Unreadable` where it does not come in time."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise TooLarge
    arrived = _take_arrived(request.receive)
    receiving = _receive_body(request.receive, arrived, limit)
    if arrived is not None and not arrived.get("more_body", False):
        return await receiving
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await receiving
    except TimeoutError:
        raise Unreadable("The body did not arrive in time.", "请求体未能及时送达。") from None


def _take_arrived(receive: Receive) -> Message | None:
    """What the server has already: a body that came with the head needs no time limit. None: nothing yet."""
    receiving = cast(Coroutine[Any, Any, Message], receive())
    try:
        receiving.send(None)
    except StopIteration as arrived:
        return cast(Message, arrived.value)
    receiving.close()
    return None


async def _receive_body(receive: Receive, arrived: Message | None, limit: int) -> bytes:
    body, message = bytearray(), arrived or await receive()
    while True:
        if message["type"] == "http.disconnect":
            raise Unreadable("The body did not arrive whole.", "请求体未能完整送达。")
        body += message.get("body", b"")
        if len(body) > limit:
            raise TooLarge
        if not message.get("more_body", False):
            return bytes(body)
        message = await receive()
