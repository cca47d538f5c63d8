"""Traces by OpenTelemetry: on where the environment names an OTLP endpoint, else not even imported.

What is traced carries its context along in `traceparent`: of the request, of the outbox row and so
of the message, whoever takes it in (decision 0046).
"""

import os
import threading
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from aidmesh_chassis.spans import Spans

ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
"""Standard variables: of a collector for OTLP by HTTP, such as `http://127.0.0.1:4318`."""
CLOSE_S_MAX: Final = 3.0


def is_on() -> bool:
    """Whether the environment names an endpoint, and does not turn the SDK off."""
    off = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return not off and any(os.environ.get(name) for name in ENDPOINTS)


def spans_of(service: str, region: str) -> "Spans | None":
    """Where a service's spans go; None where traces are off."""
    if not is_on():
        return None
    from aidmesh_chassis.spans import Spans, exported  # noqa: PLC0415

    return Spans(service, region, exported())


def close(many: Iterable["Spans | None"]) -> None:
    """Send what is left, for `CLOSE_S_MAX` at most: a collector that is away holds nobody up."""
    threads = [threading.Thread(target=each.close, daemon=True) for each in many if each]
    for thread in threads:
        thread.start()
    end = time.monotonic() + CLOSE_S_MAX
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
