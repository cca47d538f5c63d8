"""A stand-in for an OpenTelemetry collector: takes spans by OTLP over HTTP and keeps them.

Run as a script, with a port, it throws them away: to measure what tracing costs the services.
"""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


@dataclass(frozen=True, slots=True)
class Told:
    """A span that came in; ids in hexadecimal, `parent_id` empty for the first of a trace."""

    service: str
    region: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, str]
    links: tuple[tuple[str, str], ...]


class Collector:
    """What came in so far."""

    def __init__(self) -> None:
        self.url = ""
        self.wire = b""
        self._spans: list[Told] = []
        self._lock = threading.Lock()

    @property
    def spans(self) -> list[Told]:
        """In the order they came."""
        with self._lock:
            return list(self._spans)

    def of_trace(self, trace_id: str) -> list[Told]:
        """Those of one trace."""
        return [span for span in self.spans if span.trace_id == trace_id]

    def take(self, body: bytes) -> None:
        """Read one export request."""
        request = ExportTraceServiceRequest.FromString(body)
        found = [
            Told(
                service=_attributes(each.resource.attributes)["service.name"],
                region=_attributes(each.resource.attributes)["aidmesh.region"],
                name=span.name,
                trace_id=span.trace_id.hex(),
                span_id=span.span_id.hex(),
                parent_id=span.parent_span_id.hex(),
                attributes=_attributes(span.attributes),
                links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
            )
            for each in request.resource_spans
            for scope in each.scope_spans
            for span in scope.spans
        ]
        with self._lock:
            self.wire += body
            self._spans += found


def _attributes(pairs: object) -> dict[str, str]:
    return {
        pair.key: str(getattr(pair.value, pair.value.WhichOneof("value")))
        for pair in pairs  # type: ignore[attr-defined]
    }


class Sink(Collector):
    """Counts bytes only."""

    taken = 0

    def take(self, body: bytes) -> None:
        """Throw it away."""
        self.taken += len(body)


@contextmanager
def collecting(collector: Collector | None = None, port: int = 0) -> Iterator[Collector]:
    """A collector on this machine (port 0: a free one), for as long as the block."""
    found = collector or Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.take(self.rfile.read(int(self.headers["Content-Length"])))
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


if __name__ == "__main__":
    sink = Sink()
    with collecting(sink, int(sys.argv[1])):
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print(f"{sink.taken} bytes of spans")  # noqa: T201
