"""What every origin answers about itself: that it lives, that it is ready, and its documents."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import Struct

from shared.http import openapi
from shared.http.endpoints import Call, Endpoint, Endpoints
from shared.messages import asyncapi

endpoints = Endpoints()


class Health(Struct, frozen=True):
    """How a service is."""

    status: str
    service: str


@dataclass(frozen=True)
class Origin:
    """One service, or all in one process; `check_ready` raises `Unavailable`."""

    name: str
    title: str
    version: str
    check_ready: Callable[[], Awaitable[None]]
    endpoints: Sequence[Endpoint]


@endpoints.add("GET", "/livez", roles=None, summary=("进程存活", "The process lives"))
async def get_livez(call: Call[Origin, None, None]) -> Health:
    return Health("ok", call.context.name)


@endpoints.add("GET", "/readyz", roles=None, summary=("可以服务", "Database and bus answer"))
async def get_readyz(call: Call[Origin, None, None]) -> Health:
    await call.context.check_ready()
    return Health("ok", call.context.name)


@endpoints.add("GET", "/openapi.json", roles=None, summary=("OpenAPI 文档", "The OpenAPI document"))
async def get_openapi(call: Call[Origin, None, None]) -> dict[str, Any]:
    origin = call.context
    return openapi.build_document(origin.title, origin.version, [*origin.endpoints, *endpoints])


@endpoints.add("GET", "/asyncapi", roles=None, summary=("AsyncAPI 文档", "The AsyncAPI document"))
async def get_asyncapi(call: Call[Origin, None, None]) -> dict[str, Any]:
    return asyncapi.build_document(call.context.version)
