"""Routes requests: those to endpoints straight to their handlers, all others to the pages."""

import re
from collections.abc import Sequence
from typing import cast

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import compile_path
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.errors import MethodNotAllowed, NotFound, WrongMediaType
from shared.http.authentication import Authenticator
from shared.http.endpoints import Call, Endpoint, Reply
from shared.http.json_input import decode, sanitize
from shared.http.parameters import read_query
from shared.http.problems import make_problem_response, respond_not_found
from shared.http.requests import JSON, read_body, read_media_type
from shared.telemetry import trace_work

_log = structlog.stdlib.get_logger(__name__)
_encoder = msgspec.json.Encoder()
Methods = dict[str, tuple[object, Endpoint]]
"""By method: the context of the service, and the endpoint."""


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
        methods = self._methods_at(scope) if scope["type"] == "http" else None
        if methods is None:
            await self._pages(scope, receive, send)
            return
        response = await self._respond(methods, Request(scope, receive))
        await response(scope, receive, send)

    def _methods_at(self, scope: Scope) -> Methods | None:
        path: str = scope["path"]
        if (methods := self._plain.get(path)) is not None:
            scope["path_params"] = {}
            return methods
        for pattern, candidates in self._patterns.values():
            if match := pattern.match(path):
                scope["path_params"] = match.groupdict()
                return candidates
        return None

    async def _respond(self, methods: Methods, request: Request) -> Response:
        route = methods.get("GET" if request.method == "HEAD" else request.method)
        name = route[1].path if route else "unknown"
        with trace_work(name, request.headers.get("traceparent")) as trace:
            try:
                if route is None:
                    raise MethodNotAllowed(methods)
                response = await self._handle(*route, request)
            except Exception as error:
                response = make_problem_response(error, request)
            response.headers["traceparent"] = trace
            response.headers.setdefault("X-Content-Type-Options", "nosniff")
            return response

    async def _handle(self, context: object, endpoint: Endpoint, request: Request) -> Response:
        identity = self._authenticator.authorize(request, endpoint.roles)
        path: dict[str, str] = dict(request.path_params)
        if any("\x00" in part for part in path.values()):
            raise NotFound  # no database can hold it
        query = None if endpoint.query is None else read_query(request, endpoint.query)
        body = None if endpoint.body is None else await _read_typed_body(endpoint, request)
        call = Call(context, request, identity, path, query, body)
        return make_response(await endpoint.handle(call), endpoint.status)


async def _read_typed_body(endpoint: Endpoint, request: Request) -> object:
    raw = await read_body(request, endpoint.body_limit)
    if endpoint.body is bytes:
        return raw
    if read_media_type(request) not in endpoint.media_types:
        raise WrongMediaType
    return decode(sanitize(raw), cast(type[object], endpoint.body))


def make_response(result: object, status: int) -> Response:
    """What a handler returned, as the framework sends it."""
    if isinstance(result, Response):
        return result
    reply = result if isinstance(result, Reply) else Reply(result, status)
    content = reply.content
    if content is None:
        return Response(b"", reply.status, reply.headers)
    body = content if isinstance(content, bytes) else _encoder.encode(content)
    return Response(body, reply.status, reply.headers, media_type=JSON)
