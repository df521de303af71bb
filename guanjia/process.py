"""Runs services in a process: one or all four, over HTTP on one origin, with an orderly start and end."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from importlib import import_module
from socket import AF_INET, AF_INET6, create_server, socket
from typing import Any

import structlog
import uvicorn
from prometheus_client import PROCESS_COLLECTOR, disable_created_metrics, generate_latest
from prometheus_client.core import Metric
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from guanjia.buses import make_bus
from guanjia.simulation.simulated_property import load_all_properties
from shared.clock import Clock, SystemClock
from shared.http import openapi
from shared.http.endpoints import Call, Endpoint, EndpointServer, Reply, unknown_path
from shared.http.router import Router
from shared.messages import asyncapi
from shared.messaging.bus import Bus
from shared.pages.layout import PageRenderer, sign_in_routes
from shared.service import VERSION, Health, Service, ServiceContext, secret_and_keyring
from shared.settings import Settings
from shared.telemetry import configure_logging, configure_tracing

SERVICES = ("intake", "dispatch", "survey", "kpi")
LEAVE_SECONDS = 10
_log = structlog.get_logger(__name__)


def service_class(name: str) -> type[Service]:
    """The service of that name; only the one that is asked for is loaded."""
    found: type[Service] = getattr(import_module(f"services.{name}.app"), name.capitalize())
    return found


class Process:
    """The services of one process and what they share."""

    def __init__(self, names: Sequence[str], settings: Settings, clock: Clock | None = None) -> None:
        self.settings = settings
        self.clock = clock or SystemClock()
        self.secret, self.keyring = secret_and_keyring(settings)
        properties = load_all_properties(settings)
        embedded = None if settings.amqp_url else make_bus(settings, self.clock)
        self.services: list[Service] = []
        self._buses: list[Bus] = [embedded] if embedded else []
        for name in names:
            bus = embedded or make_bus(settings, self.clock)
            if not embedded:
                self._buses.append(bus)
            around = ServiceContext(settings, self.clock, bus, self.secret, self.keyring, properties)
            self.services.append(service_class(name)(around))

    async def start(self) -> None:
        """Start every service."""
        for service in self.services:
            await service.start()

    async def stop(self) -> None:
        """Take nothing new, finish what is in hand, let go."""
        for bus in self._buses:
            await bus.pause()
        for service in self.services:
            await service.drain()
        for bus in self._buses:
            await bus.stop()
        for service in self.services:
            await service.close()

    def app(self) -> Router:
        """The one origin of this process."""
        disable_created_metrics()  # type: ignore[no-untyped-call]
        web = EndpointServer(self, self.keyring)
        pages: list[BaseRoute] = [Route("/metrics", self._metrics, methods=["GET"])]
        for service in self.services:
            pages += service.pages()
        pages += sign_in_routes(PageRenderer(web), self.keyring)
        app = Starlette(routes=pages)
        app.router.default = unknown_path
        app.router.redirect_slashes = False
        return Router(self._endpoints(web), app)

    def _endpoints(self, web: EndpointServer) -> list[Route]:
        if len(self.services) == 1:
            service = self.services[0]
            return EndpointServer(service, self.keyring).routes(
                [*service.endpoints(), *service.common_endpoints()]
            )
        routes = web.routes(self._common_endpoints())
        for service in self.services:
            routes += EndpointServer(service, self.keyring).routes(service.endpoints())
        return routes

    async def _metrics(self, _: Request) -> Response:
        for service in self.services:
            await service.scrape()
        text = generate_latest(_Merged([s.registry for s in self.services]))
        text += b"".join(service.written_metrics() for service in self.services)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    def _common_endpoints(self) -> list[Endpoint]:
        return [
            Endpoint("GET", "/livez", self._livez, None, ("进程存活", "The process lives"), answer=Health),
            Endpoint(
                "GET", "/readyz", self._readyz, None, ("可以服务", "Databases and bus answer"), answer=Health
            ),
            Endpoint("GET", "/openapi.json", self._openapi, None, ("OpenAPI 文档", "The OpenAPI document")),
            Endpoint("GET", "/asyncapi", self._asyncapi, None, ("AsyncAPI 文档", "The AsyncAPI document")),
        ]

    async def _livez(self, _: Call) -> Health:
        return Health("ok", "all")

    async def _readyz(self, _: Call) -> Health:
        for service in self.services:
            await service.check_ready()
        return Health("ok", "all")

    async def _openapi(self, _: Call) -> Reply:
        endpoints = [e for service in self.services for e in service.endpoints()]
        return Reply(openapi.build_document("Guanjia", VERSION, [*endpoints, *self._common_endpoints()]))

    async def _asyncapi(self, _: Call) -> Reply:
        return Reply(asyncapi.build_document(VERSION))


class _Merged:
    """Several registries as one: families of the same name are joined."""

    def __init__(self, registries: Sequence[Any]) -> None:
        self._registries = registries

    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        sources: Iterable[Any] = (*self._registries, PROCESS_COLLECTOR)
        for source in sources:
            for family in source.collect():
                if family.name in families:
                    families[family.name].samples += family.samples
                else:
                    families[family.name] = family
        yield from families.values()


class PortTaken(Exception):
    """Nothing can listen there."""

    def __init__(self, settings: Settings) -> None:
        where = f"{settings.host}:{settings.port}"
        super().__init__(
            f"{where} 已被占用或无法监听，请设置 GUANJIA_PORT。 Can't listen on {where}; set GUANJIA_PORT."
        )


def listening(settings: Settings) -> socket:
    """A socket on the settings' address, taken before anything else starts. Raises `PortTaken`."""
    try:
        return create_server(
            (settings.host, settings.port),
            family=AF_INET6 if ":" in settings.host else AF_INET,
            backlog=1024,
            reuse_port=False,
        )
    except OSError as error:
        raise PortTaken(settings) from error


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers: the process decides how it ends."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    def capture_signals(self) -> Any:
        return nullcontext()

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    async def is_up(self, serving: asyncio.Task[None]) -> bool:
        """Wait until the port is open; false where serving ended instead."""
        up = asyncio.create_task(self.up.wait())
        await asyncio.wait([up, serving], return_when=asyncio.FIRST_COMPLETED)
        up.cancel()
        return self.started


async def serve(
    names: Sequence[str], settings: Settings, started: Callable[[Process], Awaitable[None]] | None = None
) -> None:
    """Serve until SIGINT or SIGTERM, then leave in good order."""
    configure_logging(settings.log_level)
    configure_tracing(names[0] if len(names) == 1 else "all")
    door = listening(settings)
    process = Process(names, settings)
    server = _Server(
        uvicorn.Config(
            process.app(),
            host=settings.host,
            port=settings.port,
            loop="uvloop",
            http="httptools",
            access_log=False,
            log_config=None,
            lifespan="off",
            server_header=False,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=LEAVE_SECONDS,
            limit_concurrency=2000,
            backlog=1024,
        )
    )
    loop = asyncio.get_running_loop()
    starting = asyncio.create_task(process.start(), name="start")
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, _leave, server, process, starting)
    try:
        await asyncio.wait([starting])
        if starting.cancelled():
            return
        starting.result()
        serving = asyncio.create_task(server.serve([door]), name="http")
        if started is not None and await server.is_up(serving):
            await started(process)
        await serving
    finally:
        await process.stop()


def _leave(server: uvicorn.Server, process: Process, starting: asyncio.Task[None]) -> None:
    _log.info("leaving")
    starting.cancel()
    server.should_exit = True
    for service in process.services:
        service.ready = False
        service.leaving.set()
