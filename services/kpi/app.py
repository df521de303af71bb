"""The kpi service: what it listens to, what it answers, what it keeps doing."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from starlette.routing import BaseRoute

from services.kpi.api import rates
from services.kpi.handlers import SUBSCRIPTIONS
from services.kpi.jobs import keep_gauges_fresh, refresh_gauges
from services.kpi.metrics import RateMetrics
from services.kpi.models import messaging_tables, metadata
from services.kpi.pages.rates import RatePages
from shared.http.authentication import Authenticator
from shared.http.endpoints import Endpoint
from shared.messaging.consumer import Subscription
from shared.pages.layout import PageRenderer
from shared.service import Job, Service, ServiceContext

HERE = Path(__file__).resolve().parent


class Kpi(Service):
    """Counts the target rates of every property."""

    name = "kpi"
    metadata = metadata
    messaging_tables = messaging_tables

    def __init__(self, context: ServiceContext) -> None:
        super().__init__(context)
        self.gauges = RateMetrics()

    def subscriptions(self) -> Sequence[Subscription[Any]]:
        """Facts, follow-ups, cases."""
        return SUBSCRIPTIONS

    def endpoints(self) -> Sequence[Endpoint]:
        """The rates and their evidence."""
        return rates.endpoints

    def pages(self) -> Sequence[BaseRoute]:
        """The rates for people."""
        return RatePages(self, PageRenderer(Authenticator(self.keyring), HERE / "pages")).routes()

    def jobs(self) -> Sequence[Job]:
        """The gauges are kept fresh."""
        return (self.keep_gauges_fresh,)

    def render_metrics(self) -> bytes:
        """The rates as of the last refresh."""
        return self.gauges.render()

    async def prepare(self) -> None:
        """The gauges tell the truth from the first scrape on."""
        await refresh_gauges(self)

    async def keep_gauges_fresh(self) -> None:
        """For as long as the service runs."""
        await keep_gauges_fresh(self)
