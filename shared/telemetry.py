"""Logs as JSON lines with a trace id that goes through the messages; OpenTelemetry where it is configured."""

import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from random import getrandbits
from typing import Any

import structlog
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind

_current: ContextVar[str | None] = ContextVar("traceparent", default=None)
_TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_tracer = trace.get_tracer("guanjia")
_exporting = False
_NOISY = ("aio_pika", "aiormq", "aiosqlite", "alembic", "asyncio", "httpx", "httpcore", "transitions")


def configure_logging(level: str) -> None:
    """Log JSON lines to standard error, ours and the libraries'. Never the contents of messages."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        _add_trace,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for noisy in _NOISY:
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.getLogger("uvicorn.access").disabled = True
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def configure_tracing(service: str) -> None:
    """Export spans where OpenTelemetry's standard settings name an endpoint; else do nothing."""
    if not (
        os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    ):
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    name = os.environ.get("OTEL_SERVICE_NAME", f"guanjia-{service}")
    provider = TracerProvider(resource=Resource.create({"service.name": name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    global _exporting
    _exporting = True


def current_trace() -> str | None:
    """The W3C `traceparent` of what is being done now."""
    return _current.get()


def traceparent_or_new(traceparent: str | None) -> str:
    """`traceparent` where it is well formed, else that of a new trace."""
    if traceparent and _TRACEPARENT.fullmatch(traceparent):
        return traceparent
    return f"00-{getrandbits(128):032x}-{getrandbits(64):016x}-01"


@contextmanager
def trace_work(name: str, traceparent: str | None, kind: SpanKind = SpanKind.SERVER) -> Iterator[str]:
    """Work within the trace of `traceparent`, as the span `name` where spans are exported."""
    parent = traceparent_or_new(traceparent)
    token = _current.set(parent)
    try:
        if _exporting:
            with _span(name, parent, kind):
                yield parent
        else:
            yield parent
    finally:
        _current.reset(token)


@contextmanager
def _span(name: str, parent: str, kind: SpanKind) -> Iterator[Span]:
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    context = TraceContextTextMapPropagator().extract({"traceparent": parent})
    with _tracer.start_as_current_span(name, context=context, kind=kind) as span:
        yield span


def _add_trace(_: Any, __: str, entry: dict[str, Any]) -> dict[str, Any]:
    parent = _current.get()
    if parent:
        entry["trace_id"] = parent.split("-")[1]
    return entry
