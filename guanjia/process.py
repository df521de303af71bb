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
from guanjia.properties import load_all_properties
from shared.clock import Clock, SystemClock
from shared.http import health
from shared.http.authentication import Authenticator
from shared.http.health import Origin
from shared.http.problems import respond_not_found
from shared.http.router import Router
from shared.messaging.bus import Bus
from shared.pages.layout import PageRenderer
from shared.pages.sign_in import sign_in_routes
from shared.properties.kind_files import load_kinds
from shared.service import VERSION, Service, ServiceContext, make_secret_and_keyring
from shared.settings import Settings
from shared.telemetry import configure_logging, configure_tracing

SERVICES = ("intake", "dispatch", "survey", "kpi")
LEAVE_SECONDS = 10
_log = structlog.stdlib.get_logger(__name__)


def service_class(name: str) -> type[Service]:
    """The service of that name; only the one that is asked for is loaded."""
    found: type[Service] = getattr(import_module(f"services.{name}.app"), name.capitalize())
    return found


class Process:
    """The services of one process and what they share."""

    def __init__(self, names: Sequence[str], settings: Settings, clock: Clock | None = None) -> None:
        self.settings = settings
        self.clock = clock or SystemClock()
        self.secret, self.keyring = make_secret_and_keyring(settings)
        properties = load_all_properties(settings)
        kinds = load_kinds(settings.workflow_folders)
        embedded = None if settings.amqp_url else make_bus(settings, self.clock)
        self.services: list[Service] = []
        self._buses: list[Bus] = [embedded] if embedded else []
        for name in names:
            bus = embedded or make_bus(settings, self.clock)
            if not embedded:
                self._buses.append(bus)
            around = ServiceContext(settings, self.clock, bus, self.secret, self.keyring, properties, kinds)
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
        authenticator = Authenticator(self.keyring)
        routes: list[BaseRoute] = [Route("/metrics", self._metrics, methods=["GET"])]
        for service in self.services:
            routes += service.pages()
        routes += sign_in_routes(PageRenderer(authenticator), self.keyring)
        pages = Starlette(routes=routes)
        pages.router.default = respond_not_found
        pages.router.redirect_slashes = False
        router = Router(authenticator, pages)
        for service in self.services:
            router.add(service, service.endpoints())
        router.add(self.origin(), health.endpoints)
        return router

    def origin(self) -> Origin:
        """What answers about itself: the one service, or all as one."""
        if len(self.services) == 1:
            return self.services[0].origin()
        endpoints = [endpoint for service in self.services for endpoint in service.endpoints()]
        return Origin("all", "Guanjia", VERSION, self._check_ready, endpoints)

    async def _check_ready(self) -> None:
        for service in self.services:
            await service.check_ready()

    async def _metrics(self, _: Request) -> Response:
        for service in self.services:
            await service.update_metrics()
        text = generate_latest(_Merged([s.registry for s in self.services]))
        text += b"".join(service.render_metrics() for service in self.services)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


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
        service.stopping.set()
