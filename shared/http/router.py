"""Routes requests: those to endpoints straight to their handlers, all others to the pages."""

import re
from collections.abc import Sequence
from typing import Any, cast

import msgspec
from starlette.responses import Response
from starlette.routing import compile_path
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.errors import MethodNotAllowed, NotFound, WrongMediaType
from shared.http.authentication import Authenticator
from shared.http.endpoints import Call, Endpoint, Reply
from shared.http.json_input import convert, read_json
from shared.http.parameters import read_query
from shared.http.problems import make_problem_reply
from shared.http.requests import Request, read_body, read_media_type
from shared.telemetry import trace_work

_encoder = msgspec.json.Encoder()
_WITHOUT_LENGTH = (204, 304)
Methods = dict[str, tuple[object, Endpoint]]
"""By method: the context of the service, and the endpoint."""


async def respond_not_found(scope: Scope, receive: Receive, send: Send) -> None:
    """The application's reply where no route matches."""
    if scope["type"] == "http":
        await send_reply(make_problem_reply(NotFound(), Request(scope, receive)), send)


class Router:
    """An ASGI application: endpoints are matched by path, those without parts first; `pages` get the rest."""

    def __init__(self, authenticator: Authenticator, pages: ASGIApp = respond_not_found) -> None:
        self._authenticator = authenticator
        self._pages = pages
        self._plain: dict[str, Methods] = {}
        self._patterns: dict[str, tuple[re.Pattern[str], Methods]] = {}

    def add(self, context: object, endpoints: Sequence[Endpoint]) -> None:
        """Serve `endpoints`, each called with `context`."""
        for endpoint in endpoints:
            if "{" not in endpoint.path:
                methods = self._plain.setdefault(endpoint.path, {})
            else:
                pattern, _, _ = compile_path(endpoint.path)
                _, methods = self._patterns.setdefault(endpoint.path, (pattern, {}))
            methods[endpoint.method] = (context, endpoint)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        methods, parts = self._match(scope["path"]) if scope["type"] == "http" else (None, {})
        if methods is None:
            await self._pages(scope, receive, send)
            return
        request = Request(scope, receive)
        route = methods.get("GET" if request.method == "HEAD" else request.method)
        with trace_work(route[1].path if route else "unknown", request.headers.get("traceparent")) as trace:
            try:
                if route is None:
                    raise MethodNotAllowed(methods)
                reply = await self._handle(*route, request, parts)
            except Exception as error:
                reply = make_problem_reply(error, request)
        if isinstance(reply, Reply):
            await send_reply(reply, send, trace)
        else:
            reply.headers.update({"traceparent": trace, "x-content-type-options": "nosniff"})
            await reply(scope, receive, send)

    def _match(self, path: str) -> tuple[Methods | None, dict[str, str]]:
        """The endpoints at `path` by method, and what stands in its parts."""
        if (methods := self._plain.get(path)) is not None:
            return methods, {}
        for pattern, methods in self._patterns.values():
            if match := pattern.match(path):
                return methods, match.groupdict()
        return None, {}

    async def _handle(
        self, context: object, endpoint: Endpoint, request: Request, parts: dict[str, str]
    ) -> Reply[bytes] | Response:
        identity = self._authenticator.authorize(request, endpoint.roles)
        if parts and any("\x00" in part for part in parts.values()):
            raise NotFound  # no database can hold it
        query = None if endpoint.query is None else read_query(request, endpoint.query)
        body = None if endpoint.body is None else await _read_typed_body(endpoint, request)
        result = await endpoint.handle(Call(context, request, identity, parts, query, body))
        if isinstance(result, Response):
            return result
        reply = result if isinstance(result, Reply) else Reply(result, endpoint.status)
        return encode_reply(reply)


def encode_reply(reply: Reply[Any]) -> Reply[bytes]:
    """`reply` with its content as JSON; bytes are that already, and None is nothing."""
    if isinstance(reply.content, bytes):
        return reply
    if reply.content is None:
        return Reply(b"", reply.status, reply.headers, media_type="")
    return Reply(_encoder.encode(reply.content), reply.status, reply.headers)


async def _read_typed_body(endpoint: Endpoint, request: Request) -> object:
    raw = await read_body(request, endpoint.body_limit)
    if endpoint.body is bytes:
        return raw
    if read_media_type(request) not in endpoint.media_types:
        raise WrongMediaType
    return convert(read_json(raw), cast(type[object], endpoint.body))


async def send_reply(reply: Reply[bytes], send: Send, trace: str = "") -> None:
    """Send `reply`, as part of `trace`."""
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in reply.headers.items()]
    if reply.status not in _WITHOUT_LENGTH:
        headers.append((b"content-length", b"%d" % len(reply.content)))
    if reply.media_type:
        headers.append((b"content-type", reply.media_type.encode()))
    if trace:
        headers += [(b"traceparent", trace.encode()), (b"x-content-type-options", b"nosniff")]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.content})
