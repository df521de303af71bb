"""The gauges of survey, read from its tables before each scrape."""

from prometheus_client import CollectorRegistry, Gauge

from services.survey import queries
from shared.host import Host


class SurveyMetrics:
    """How many follow-ups are still to be done, and how many of these are late."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ["property", "kind"]
        self.open = Gauge("guanjia_followups_open", "Follow-ups not done", labels, registry=registry)
        self.overdue = Gauge(
            "guanjia_followups_overdue", "Follow-ups due and not done", labels, registry=registry
        )

    async def refresh(self, host: Host) -> None:
        """Read them anew; what has no follow-up open any more has no series."""
        async with host.database.snapshot() as connection:
            counts = await queries.count_open_followups(connection, host.clock.now())
        self.open.clear()
        self.overdue.clear()
        for property_id, kind, number, overdue in counts:
            self.open.labels(property_id, kind).set(number)
            self.overdue.labels(property_id, kind).set(overdue)
