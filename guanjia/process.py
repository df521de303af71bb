"""Composes the services of a process: one or all four, what they share, and the one origin they serve."""

from collections.abc import Iterator, Sequence
from importlib import import_module

from prometheus_client import PROCESS_COLLECTOR, disable_created_metrics, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from guanjia.properties import load_all_properties
from shared.clock import Clock, SystemClock
from shared.database.engine import Database
from shared.http import health
from shared.http.authentication import Authenticator
from shared.http.health import Origin
from shared.http.router import Router, respond_not_found
from shared.messaging.bus import Bus
from shared.messaging.embedded import EmbeddedBus
from shared.messaging.topology import QUEUES
from shared.pages.layout import PageRenderer
from shared.pages.sign_in import sign_in_routes
from shared.properties.kind_files import load_kinds
from shared.service import VERSION, Service, ServiceContext, make_secret_and_keyring
from shared.settings import Settings

SERVICES = ("intake", "dispatch", "survey", "kpi")
BUS_CONNECTIONS = len(QUEUES) + 5
"""A batch that is handled holds a connection: one for each queue, and some for those who publish."""


def load_service_class(name: str) -> type[Service]:
    """The class of the service of that name; no other service is imported."""
    service_class: type[Service] = getattr(import_module(f"services.{name}.app"), name.capitalize())
    return service_class


def make_bus(settings: Settings, clock: Clock) -> Bus:
    """RabbitMQ where a URL is set, else the bus in the database."""
    if settings.amqp_url:
        # Here, because its libraries take a third of a start that has no use for them.
        from shared.messaging.rabbitmq import RabbitBus

        return RabbitBus(settings.amqp_url)
    database = Database("bus", settings.database_url, settings.data_dir, pool=BUS_CONNECTIONS)
    return EmbeddedBus(database, clock)


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
            context = ServiceContext(settings, self.clock, bus, self.secret, self.keyring, properties, kinds)
            self.services.append(load_service_class(name)(context))

    async def start(self) -> None:
        """Start every service."""
        for service in self.services:
            await service.start()

    async def stop(self) -> None:
        """Take nothing new, finish what is in hand, disconnect."""
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
        collectors = [*(service.registry for service in self.services), PROCESS_COLLECTOR]
        text = generate_latest(_MergedCollector(collectors))
        text += b"".join(service.render_metrics() for service in self.services)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


class _MergedCollector(Collector):
    """Several collectors as one: families of the same name are joined."""

    def __init__(self, collectors: Sequence[Collector]) -> None:
        self._collectors = collectors

    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        for collector in self._collectors:
            for family in collector.collect():
                if family.name in families:
                    families[family.name].samples += family.samples
                else:
                    families[family.name] = family
        yield from families.values()
