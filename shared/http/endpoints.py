"""The table of endpoints: from one row follow route, rights, checks and the OpenAPI document.

What an endpoint reads and replies with stands in its own signature: `Call[context, query, body]` and the type
that it returns. Nothing of it is written twice.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, cast, get_args, get_origin, get_type_hints
from uuid import UUID

from msgspec import Struct
from starlette.responses import Response

from shared.auth import Identity, Role
from shared.errors import InvalidInput, NotFound
from shared.http.requests import BODY_LIMIT, JSON, Request

Context = TypeVar("Context")
Query = TypeVar("Query")
Body = TypeVar("Body")
Content = TypeVar("Content")
IDEMPOTENCY_KEY = "Idempotency-Key"
LONGEST_KEY = 200


class Call(Struct, Generic[Context, Query, Body], frozen=True):
    """One request to an endpoint, checked: the caller, the path's parts, the query and the body.

    `query` and `body` are None where the signature says so; a body of `bytes` is passed on as it came.
    """

    context: Context
    request: Request
    identity: Identity
    path: dict[str, str]
    query: Query
    body: Body

    @property
    def idempotency_key(self) -> str | None:
        """The header `Idempotency-Key`. Raises `InvalidInput` beyond 1 to 200 visible characters."""
        key = self.request.headers.get("idempotency-key")
        if key is not None and not (1 <= len(key) <= LONGEST_KEY and key.isascii() and key.isprintable()):
            raise InvalidInput.of(
                IDEMPOTENCY_KEY, "1 to 200 printable characters", "长度应为 1 至 200 个可见字符"
            )
        return key

    def id(self, part: str = "id") -> str:
        """The identifier in this part of the path, in lower case. Raises `NotFound` where it is none."""
        try:
            return str(UUID(self.path[part]))
        except ValueError:
            raise NotFound from None


class Reply(Struct, Generic[Content], frozen=True):
    """What an endpoint returns where it is more than a 200 with content; bytes are as they are sent."""

    content: Content
    status: int = 200
    headers: dict[str, str] = {}
    media_type: str = JSON


AnyCall = Call[Any, Any, Any]
Handler = Callable[[AnyCall], Awaitable[object]]
HandlerType = TypeVar("HandlerType", bound=Handler)


@dataclass(frozen=True)
class Endpoint:
    """One row of the table. `roles` None: open without a key. `summary`: in Chinese, in English.

    `reply` comes with `status`, what else may come is in `other_replies` by its status. `keyed`: repeating it
    with the same `Idempotency-Key` is harmless. `body_limit` in bytes, `media_types` of the body.
    """

    method: str
    path: str
    handle: Handler
    roles: tuple[Role, ...] | None
    summary: tuple[str, str]
    query: type[Struct] | None = None
    body: object = None
    reply: object = None
    status: int = 200
    other_replies: Mapping[int, object] = field(default_factory=dict)
    keyed: bool = False
    body_limit: int = BODY_LIMIT
    media_types: tuple[str, ...] = (JSON,)


class Endpoints(list[Endpoint]):
    """The table of a service; `add` is its decorator."""

    def add(
        self,
        method: str,
        path: str,
        *,
        roles: tuple[Role, ...] | None,
        summary: tuple[str, str],
        reply: object = None,
        status: int = 200,
        other_replies: Mapping[int, object] | None = None,
        keyed: bool = False,
        body_limit: int = BODY_LIMIT,
        media_types: tuple[str, ...] = (JSON,),
    ) -> Callable[[HandlerType], HandlerType]:
        """Register the decorated coroutine; `reply` only where its return type does not say it."""

        def register(handle: HandlerType) -> HandlerType:
            hints: dict[str, object] = get_type_hints(handle)
            _, query, body = cast(tuple[object, type[Struct] | type[None], object], get_args(hints["call"]))
            self.append(
                Endpoint(
                    method=method,
                    path=path,
                    handle=handle,
                    roles=roles,
                    summary=summary,
                    query=query if issubclass(query, Struct) else None,
                    body=_unless_none(body),
                    reply=reply or _content_of(hints["return"]),
                    status=status,
                    other_replies=other_replies or {},
                    keyed=keyed,
                    body_limit=body_limit,
                    media_types=media_types,
                )
            )
            return handle

        return register


def _unless_none(schema: object) -> object:
    return None if schema is type(None) else schema


def _content_of(returned: object) -> object:
    """The schema of the content in a return type: none of a bare response of the framework."""
    if get_origin(returned) is Reply:
        (returned,) = cast(tuple[object], get_args(returned))
    if isinstance(returned, type) and issubclass(returned, Response | bytes):
        return None
    return _unless_none(returned)
