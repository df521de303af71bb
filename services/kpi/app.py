"""The kpi service: what it listens to, what it answers, what it keeps doing."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from services.kpi.api import endpoints
from services.kpi.handlers import SUBSCRIPTIONS
from services.kpi.jobs import keep_fresh, refresh
from services.kpi.metrics import RateGauges
from services.kpi.models import mechanism, metadata
from services.kpi.pages import RatePages
from shared.pages import Pages
from shared.receiver import Subscription
from shared.service import Job, Service, Surroundings
from shared.web import Endpoint, Web

HERE = Path(__file__).resolve().parent


class Kpi(Service):
    """Counts the target rates of every property."""

    name = "kpi"
    metadata = metadata
    mechanism = mechanism

    def __init__(self, around: Surroundings) -> None:
        super().__init__(around)
        self.gauges = RateGauges()

    def subscriptions(self) -> Sequence[Subscription]:
        """Facts, follow-ups, cases."""
        return SUBSCRIPTIONS

    def endpoints(self) -> Sequence[Endpoint]:
        """The rates and their evidence."""
        return endpoints

    def pages(self) -> Sequence[Any]:
        """The rates for people."""
        return RatePages(self, Pages(Web(self, self.keyring), HERE)).routes()

    def jobs(self) -> Sequence[Job]:
        """The gauges are kept fresh."""
        return (self.keep_gauges_fresh,)

    def written_metrics(self) -> bytes:
        """The rates as they were last refreshed."""
        return self.gauges.text

    async def prepare(self) -> None:
        """The gauges tell the truth from the first scrape on."""
        await refresh(self)

    async def keep_gauges_fresh(self) -> None:
        """For as long as the service runs."""
        await keep_fresh(self)
