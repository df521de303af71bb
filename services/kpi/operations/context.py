"""What the parts of kpi may know of the service."""

from typing import Protocol

from services.kpi.metrics import RateMetrics
from shared.host import Host


class KpiContext(Host, Protocol):
    """The service kpi: the figures as they were last counted, beside what every service has."""

    gauges: RateMetrics
