"""intake's gauges."""

from prometheus_client import CollectorRegistry, Gauge


class IntakeMetrics:
    """The gauges of intake beside those of messaging."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.unaccounted = Gauge(
            "guanjia_demands_unaccounted", "Demands accepted a while ago that have no case", registry=registry
        )
