"""The HTTP face of every service: one table of endpoints gives routes, rights, checks and the document."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import structlog
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from shared.auth import Identity, Keyring, Role
from shared.database.engine import is_transient
from shared.errors import (
    InvalidInput,
    MethodNotAllowed,
    NotAllowed,
    NotFound,
    NotSignedIn,
    Problem,
    TooLarge,
    Unavailable,
    Unreadable,
    WrongMediaType,
)
from shared.http.json_input import decode, field_error, sanitize
from shared.telemetry import traced

_log = structlog.get_logger(__name__)
_encoder = msgspec.json.Encoder()
BODY_LIMIT = 64 * 1024
JSON = "application/json"
BODY_SECONDS = 15
SESSION_COOKIE = "guanjia_session"
_SAFE = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True)
class Call:
    """One request to an endpoint, checked: who calls, the path's parts, the query and the body."""

    service: Any
    request: Request
    identity: Identity
    path: dict[str, str]
    query: Any
    body: Any
    raw: bytes

    @property
    def idempotency_key(self) -> str | None:
        """The header `Idempotency-Key`, of 1 to 128 visible characters. Raises `InvalidInput`."""
        key = self.request.headers.get("idempotency-key")
        if key is not None and not (1 <= len(key) <= 128 and key.isascii() and key.isprintable()):
            raise InvalidInput.of(
                "Idempotency-Key", "1 to 128 printable characters", "长度应为 1 至 128 个可见字符"
            )
        return key


@dataclass(frozen=True)
class Reply:
    """What an endpoint returns where it is more than a 200 with a body."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


ANYBODY = Identity(key="", name="anybody", roles=frozenset(), properties=frozenset())
Handle = Callable[[Call], Awaitable[Any]]


@dataclass(frozen=True)
class Endpoint:
    """One row of the table. `roles` None: open without a key. `body` bytes: taken raw, whatever its type.

    `answer` comes with `status`, what else may come is in `other_answers` by its status.
    """

    method: str
    path: str
    handle: Handle
    roles: tuple[Role, ...] | None
    summary: tuple[str, str]
    query: type[Struct] | None = None
    body: Any = None
    answer: Any = None
    status: int = 200
    other_answers: Mapping[int, Any] = field(default_factory=dict)
    limit: int = BODY_LIMIT
    types: tuple[str, ...] = (JSON,)


class Endpoints(list[Endpoint]):
    """The table of a service; `add` is its decorator."""

    def add(self, method: str, path: str, **rest: Any) -> Callable[[Handle], Handle]:
        """Register the decorated coroutine for `method` and `path`."""

        def register(handle: Handle) -> Handle:
            self.append(Endpoint(method=method, path=path, handle=handle, **rest))
            return handle

        return register


class EndpointServer:
    """Serves endpoints for one service with its keyring."""

    def __init__(self, service: Any, keyring: Keyring) -> None:
        self._service = service
        self._keyring = keyring

    def routes(self, endpoints: Sequence[Endpoint]) -> list[Route]:
        """Starlette routes: one per path, whatever its methods."""
        by_path: dict[str, dict[str, Endpoint]] = {}
        for endpoint in endpoints:
            by_path.setdefault(endpoint.path, {})[endpoint.method] = endpoint
        return [Route(path, self._serve(methods), methods=None) for path, methods in by_path.items()]

    def _serve(self, methods: dict[str, Endpoint]) -> Any:
        served = self

        class Served:
            async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
                response = await served._respond(methods, Request(scope, receive))
                await response(scope, receive, send)

        return Served()

    async def _respond(self, methods: dict[str, Endpoint], request: Request) -> Response:
        endpoint = methods.get("GET" if request.method == "HEAD" else request.method)
        with traced(endpoint.path if endpoint else "unknown", request.headers.get("traceparent")) as trace:
            try:
                if endpoint is None:
                    raise MethodNotAllowed(methods)
                response = await self._call(endpoint, request)
            except Exception as error:
                response = problem_response(error, request)
            response.headers["traceparent"] = trace
            response.headers.setdefault("X-Content-Type-Options", "nosniff")
            return response

    async def _call(self, endpoint: Endpoint, request: Request) -> Response:
        identity = self.identify(request, endpoint)
        path = dict(request.path_params)
        if any("\x00" in part for part in path.values()):
            raise NotFound  # no database can hold it
        query = self._query(endpoint, request)
        raw = await read_body(request, endpoint.limit) if endpoint.body is not None else b""
        body: Any = raw
        if endpoint.body not in (None, bytes):
            if media_type(request) not in endpoint.types:
                raise WrongMediaType
            body = decode(sanitize(raw), endpoint.body)
        call = Call(self._service, request, identity, path, query, body, raw)
        return _response(await endpoint.handle(call), endpoint.status)

    def identify(self, request: Request, endpoint: Endpoint) -> Identity:
        """Who calls, allowed to call `endpoint`. Raises `NotSignedIn`, `NotAllowed`."""
        if endpoint.roles is None:
            return ANYBODY
        identity = self.caller(request)
        if not identity.may(*endpoint.roles):
            raise NotAllowed("This key lacks the role for that.", "该密钥没有所需的角色。")
        return identity

    def caller(self, request: Request) -> Identity:
        """Who calls, by key or by session. Raises `NotSignedIn`."""
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and key:
            return self._keyring.check(key.strip())
        session = request.cookies.get(SESSION_COOKIE)
        if not session:
            raise NotSignedIn
        if request.method not in _SAFE and not same_origin(request):
            raise NotAllowed("A page of another origin can't act here.", "不允许跨站请求。")
        return self._keyring.check_session(session)

    def _query(self, endpoint: Endpoint, request: Request) -> Any:
        if endpoint.query is None:
            return None
        pairs = {name: value for name, value in request.query_params.items() if value != ""}
        if any("\x00" in value for value in pairs.values()):
            raise InvalidInput.of("query", "Text can't hold the character NUL", "文本不能包含 NUL 字符")
        try:
            return msgspec.convert(pairs, endpoint.query, strict=False)
        except msgspec.ValidationError as error:
            raise InvalidInput(errors=[field_error(error)]) from None


def same_origin(request: Request) -> bool:
    """Whether a browser's request comes from our own pages."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is not None and origin.split("://", 1)[-1] == request.headers.get("host")


def media_type(request: Request) -> str:
    """The content type that is told, without its parameters; JSON where none is."""
    return request.headers.get("content-type", JSON).partition(";")[0].strip().lower()


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body. Raises `TooLarge` beyond `limit` bytes, `Unreadable` where it does not come in time."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise TooLarge
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            more = True
            while more:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise Unreadable("The body did not arrive whole.", "请求体未能完整送达。")
                chunks.append(message.get("body", b""))
                more = message.get("more_body", False)
                size += len(chunks[-1])
                if size > limit:
                    raise TooLarge
    except TimeoutError:
        raise Unreadable("The body did not arrive in time.", "请求体未能及时送达。") from None
    return b"".join(chunks)


def language_of(request: Request) -> str:
    """`zh` or `en`: the page's choice, else the first that the reader understands, else Chinese."""
    chosen = request.query_params.get("lang") or request.cookies.get("guanjia_lang") or ""
    for offered in (chosen, *request.headers.get("accept-language", "").split(",")):
        tag = offered.split(";")[0].strip().lower()[:2]
        if tag in ("zh", "en"):
            return tag
    return "zh"


def problem_response(error: Exception, request: Request) -> Response:
    """Any error as a problem document; what is not a `Problem` is ours, logged, and told without details."""
    problem = as_problem(error)
    document = problem.document(language_of(request))
    body = _encoder.encode(document)
    return Response(body, problem.status, problem.headers(), media_type="application/problem+json")


def as_problem(error: Exception) -> Problem:
    """`error` as what the caller is told."""
    if isinstance(error, Problem):
        return error
    if is_transient(error):
        _log.warning("not available", error=type(error).__name__)
        return Unavailable()
    _log.error("request failed", exc_info=error)
    return Problem()


def _response(result: Any, status: int) -> Response:
    if isinstance(result, Response):
        return result
    answer = result if isinstance(result, Reply) else Reply(result, status)
    body = b"" if answer.body is None else _encoder.encode(answer.body)
    return Response(body, answer.status, answer.headers, media_type="application/json" if body else None)


async def unknown_path(scope: Any, receive: Any, send: Any) -> None:
    """The application's answer where no route matches."""
    if scope["type"] != "http":
        return
    await problem_response(NotFound(), Request(scope, receive))(scope, receive, send)
