"""The spans of one service: requests, messages taken in, messages sent, sweeps.

Imported only where traces are on. A span says what was done, of which need and event, for how long
and how it ended: route templates, types and random ids, never an address, a person's id or the
words of an error.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol, TypeVar
from uuid import UUID

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from aidmesh_chassis.logs import TRACEPARENT
from aidmesh_contracts.streams import event_type_of

if TYPE_CHECKING:
    from aidmesh_chassis.envelope import Received
    from aidmesh_contracts.base import Event

R = TypeVar("R", bound="Received[Event]")
TRACEPARENT_HEADER: Final = "traceparent"
SPANS_QUEUED_MAX: Final = 20_000
"""Beyond so many that the collector has not taken, further ones are dropped."""
EXPORT_S_MAX: Final = 5.0
_W3C: Final = TraceContextTextMapPropagator()


class Outgoing(Protocol):
    """What is sent: a row of the outbox, or a handoff."""

    @property
    def event_id(self) -> UUID: ...

    @property
    def subject(self) -> str: ...

    @property
    def headers(self) -> Mapping[str, str]: ...


def exported() -> SpanProcessor:
    """Sends spans to the endpoint that the environment names, from a thread of its own."""
    return BatchSpanProcessor(
        OTLPSpanExporter(timeout=EXPORT_S_MAX), max_queue_size=SPANS_QUEUED_MAX
    )


class Spans:
    """Makes spans.

    Args:
        service, region: whose they are.
        processor: what becomes of those that ended.
    """

    def __init__(self, service: str, region: str, processor: SpanProcessor) -> None:
        resource = Resource.create(
            {"service.name": service, "service.namespace": "aidmesh", "aidmesh.region": region}
        )
        # Closed by `tracing.close`, within a bound.
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("aidmesh")
        self._region = region

    def close(self) -> None:
        """Send what is left; may take as long as the collector does."""
        self._provider.shutdown()

    @staticmethod
    def context_of(span: Span) -> str:
        """The W3C trace context that what a span causes carries on."""
        context = span.get_span_context()
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"

    def begin_request(self, traceparent: str | None) -> Span:
        """Begin the span of a request.

        Args:
            traceparent: of the caller, if there is one.
        """
        return self._tracer.start_span(
            "request", context=_context(traceparent), kind=SpanKind.SERVER
        )

    def end_request(
        self, span: Span, method: str, route: str, status: int, ids: Mapping[str, object]
    ) -> None:
        """End it.

        Args:
            span: of `begin_request`.
            route: its template, never the path.
            ids: `request_id`, `correlation_id` and `need_id`, as far as they are known.
        """
        span.update_name(f"{method} {route}")
        span.set_attributes(
            {
                "http.request.method": method,
                "http.route": route,
                "http.response.status_code": status,
                "aidmesh.region": self._region,
            }
        )
        for name in ("request_id", "correlation_id", "need_id"):
            if name in ids:
                span.set_attribute(f"aidmesh.{name}", str(ids[name]))
        if status >= 500 or status == 0:
            span.set_status(StatusCode.ERROR)
        span.end()

    @contextmanager
    def batch(self, durable: str, received: Sequence[R]) -> Iterator[list[R]]:
        """Trace the handling of messages by one transaction.

        Each message has a span in its own trace, and what it causes goes on from there; the batch
        has one that is linked with them.

        Yields:
            the messages, with the context of their own span.
        """
        each = [self._process(durable, item) for item in received]
        traced = [
            replace(item, traceparent=self.context_of(span))
            for item, span in zip(received, each, strict=True)
        ]
        spans = [span for span in each if span.is_recording()]
        if spans:
            whole = self._tracer.start_span(
                f"batch {durable}",
                context=Context(),
                kind=SpanKind.CONSUMER,
                links=[Link(span.get_span_context()) for span in spans],
                attributes={
                    "messaging.system": "nats",
                    "messaging.consumer.group.name": durable,
                    "messaging.batch.message_count": len(received),
                    "aidmesh.region": self._region,
                },
            )
            spans.append(whole)
        token = TRACEPARENT.set(traced[0].traceparent) if len(traced) == 1 else None
        try:
            yield traced
        except BaseException as error:
            _fail(spans, error)
            raise
        finally:
            if token is not None:
                TRACEPARENT.reset(token)
            for span in spans:
                span.end()

    def _process(self, durable: str, item: "Received[Event]") -> Span:
        attributes = {
            "messaging.system": "nats",
            "messaging.operation.type": "process",
            "messaging.consumer.group.name": durable,
            "messaging.message.id": str(item.event_id),
            "aidmesh.correlation_id": str(item.correlation_id),
            "aidmesh.region": self._region,
        }
        need_id = getattr(item.event, "need_id", None)
        if need_id is not None:
            attributes["aidmesh.need_id"] = str(need_id)
        return self._tracer.start_span(
            f"process {item.event.type}",
            context=_context(item.traceparent),
            kind=SpanKind.CONSUMER,
            attributes=attributes,
        )

    @contextmanager
    def sending(
        self, messages: Sequence[Outgoing], sent: Callable[[], Collection[UUID]]
    ) -> Iterator[None]:
        """Trace the sending of messages; those that are in no trace have no span.

        Args:
            messages: each becomes a child of what caused it.
            sent: ids of those that NATS has taken, asked for at the end.
        """
        spans = {
            message.event_id: self._tracer.start_span(
                f"send {event_type_of(message.subject)}",
                context=_context(message.headers[TRACEPARENT_HEADER]),
                kind=SpanKind.PRODUCER,
                attributes={
                    "messaging.system": "nats",
                    "messaging.operation.type": "send",
                    "messaging.message.id": str(message.event_id),
                    "aidmesh.region": self._region,
                },
            )
            for message in messages
            if TRACEPARENT_HEADER in message.headers
        }
        try:
            yield
        finally:
            taken = sent()
            for event_id, span in spans.items():
                if event_id not in taken:
                    span.set_status(StatusCode.ERROR)
                span.end()

    @contextmanager
    def sweep(self, name: str) -> Iterator[Callable[[int], None]]:
        """Trace timed work; what it says goes on from there. A round without work has no span.

        Yields:
            to be told how many rows there were.
        """
        span = self._tracer.start_span(f"sweep {name}", context=Context())
        token = TRACEPARENT.set(self.context_of(span))

        def done(rows: int) -> None:
            if rows:
                span.set_attributes({"aidmesh.rows": rows, "aidmesh.region": self._region})
                span.end()

        try:
            yield done
        except BaseException as error:
            _fail([span], error)
            span.end()
            raise
        finally:
            TRACEPARENT.reset(token)


def _context(traceparent: str | None) -> Context:
    """The parent; an empty one, of which a new trace begins, where there is none."""
    if traceparent is None:
        return Context()
    return _W3C.extract({TRACEPARENT_HEADER: traceparent}, Context())


def _fail(spans: Sequence[Span], error: BaseException) -> None:
    """Say by which class of error; its words may hold anything."""
    for span in spans:
        span.set_attribute("error.type", type(error).__name__)
        span.set_status(StatusCode.ERROR)
