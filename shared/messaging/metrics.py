"""The gauges that every service has: events to be sent, and dead letters."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Gauge


class MessagingMetrics:
    """Outbox and dead letters of one service."""

    def __init__(self, registry: CollectorRegistry) -> None:
        by = ["service"]
        self._pending = Gauge("guanjia_outbox_pending", "Events to be sent", by, registry=registry)
        self._oldest = Gauge(
            "guanjia_outbox_oldest_seconds", "Age of the oldest of them", by, registry=registry
        )
        self._dead = Gauge("guanjia_dead_letters", "Dead letters not replayed", ["queue"], registry=registry)

    def update(self, service: str, pending: int, oldest: float, dead: Mapping[str, int]) -> None:
        """Events to be sent, the age of the oldest in seconds, dead letters by queue."""
        self._pending.labels(service).set(pending)
        self._oldest.labels(service).set(oldest)
        for queue, count in dead.items():
            self._dead.labels(queue).set(count)
