"""What dispatch measures of itself: open cases, deadlines, and how long a demand takes to be served."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from services.dispatch.domain.case_batch import CaseBatch, DecidedStep
from services.dispatch.queries.cases import OpenCaseCount

_LEAD_TIME_BUCKETS = (300, 900, 1800, 3600, 7200, 14400, 28800, 86400, 172800, 345600, 604800, 1209600)


class DispatchMetrics:
    """The service's own metrics."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._open = Gauge(
            "guanjia_cases_open", "Cases that are not over", ["property", "kind", "state"], registry=registry
        )
        self._deadlines = Counter(
            "guanjia_deadlines",
            "Deadlines that were met, warned of, or missed",
            ["property", "kind", "clock", "outcome"],
            registry=registry,
        )
        self._lead = Histogram(
            "guanjia_demand_lead_time_seconds",
            "From a demand's being raised to its being done",
            buckets=_LEAD_TIME_BUCKETS,
            registry=registry,
        )

    def count_decisions(self, batch: CaseBatch) -> None:
        """Count what was decided over a batch of cases."""
        for notice in batch.notices:
            case = notice.case
            self._deadlines.labels(case.property, case.kind, notice.deadline.name, notice.outcome).inc()
        for step in batch.steps:
            self._count_step(step)

    def _count_step(self, step: DecidedStep) -> None:
        before, after = step.transition.before, step.transition.after
        if before is None:
            return
        for earlier, deadline in zip(before.deadlines, after.deadlines, strict=True):
            if earlier.met_at is None and deadline.met_at is not None:
                outcome = "met" if deadline.missed_at is None else "met_late"
                self._deadlines.labels(after.property, after.kind, deadline.name, outcome).inc()
        if before.follow_up is None and after.follow_up is not None:
            self._lead.observe(max(0.0, (after.at - after.raised_at).total_seconds()))

    def set_open_cases(self, counts: Iterable[OpenCaseCount]) -> None:
        """Set the gauge to the open cases as they are now."""
        self._open.clear()
        for count in counts:
            self._open.labels(count.property, count.kind, count.state).set(count.cases)
