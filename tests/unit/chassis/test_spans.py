"""What is traced where traces are on: whose child each span is, and what it never says."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID, uuid4

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from aidmesh_chassis import http, logs, tracing
from aidmesh_chassis.auth import Verifier
from aidmesh_chassis.envelope import Received
from aidmesh_chassis.spans import Spans
from aidmesh_contracts.ids import NeedId
from aidmesh_contracts.intake import NeedToldV1
from support.collector import collecting

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
GIVEN = f"00-{TRACE}-{PARENT}-01"
CANARY = "Canary Kovalenko"


class Ended:
    """The spans that ended, by name."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.spans = Spans("intake", "kyiv", SimpleSpanProcessor(self._exporter))

    @property
    def all(self) -> tuple[ReadableSpan, ...]:
        return self._exporter.get_finished_spans()

    def one(self, name: str) -> ReadableSpan:
        (span,) = [each for each in self.all if each.name == name]
        return span


@pytest.fixture
def ended() -> Ended:
    return Ended()


def ids(span: ReadableSpan) -> tuple[str, str, str]:
    """Trace, span and parent, in hexadecimal."""
    context, parent = span.context, span.parent
    assert context is not None
    return (
        f"{context.trace_id:032x}",
        f"{context.span_id:016x}",
        f"{parent.span_id:016x}" if parent else "",
    )


def context_of(span: ReadableSpan) -> str:
    trace_id, span_id, _ = ids(span)
    assert span.context is not None
    return f"00-{trace_id}-{span_id}-{span.context.trace_flags:02x}"


def told(traceparent: str | None) -> Received[NeedToldV1]:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    need = NeedToldV1(
        need_id=NeedId(uuid4()), attempt_no=1, told_at=at, how="in_person", collect_days=5
    )
    return Received(
        event=need,
        event_id=uuid4(),
        correlation_id=uuid4(),
        occurred_at=at,
        region="kyiv",
        epoch=1,
        version=None,
        content_hash=b"",
        traceparent=traceparent,
    )


@pytest.fixture
def ask(ended: Ended, monkeypatch: pytest.MonkeyPatch) -> Callable[..., httpx.AsyncClient]:
    monkeypatch.setattr(http, "spans_of", lambda *_: ended.spans)
    app = http.create_app(
        "intake", "kyiv", Verifier(Ed25519PrivateKey.generate().public_key(), "kyiv")
    )

    @app.get("/v1/needs/{need_id}")
    async def look(need_id: UUID) -> str | None:
        logs.bind_need(str(need_id))
        return logs.TRACEPARENT.get()

    @app.get("/v1/broken")
    async def broken() -> None:
        raise LookupError(CANARY)

    return lambda: httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app, raise_app_exceptions=False),
        base_url="http://service",
        headers={"User-Agent": CANARY},
    )


async def test_a_request_is_a_span_of_its_callers_trace(
    ended: Ended, ask: Callable[[], httpx.AsyncClient]
) -> None:
    need_id, correlation = uuid4(), str(uuid4())
    async with ask() as client:
        headers = {"traceparent": GIVEN, "X-Correlation-Id": correlation}
        answer = await client.get(f"/v1/needs/{need_id}", headers=headers)
        assert (await client.get("/healthz")).status_code == 200
    span = ended.one("GET /v1/needs/{need_id}")
    assert answer.json() == context_of(span)
    assert (ids(span)[0], ids(span)[2]) == (TRACE, PARENT)
    assert dict(span.attributes or {}) == {
        "http.request.method": "GET",
        "http.route": "/v1/needs/{need_id}",
        "http.response.status_code": 200,
        "aidmesh.region": "kyiv",
        "aidmesh.request_id": answer.headers["x-request-id"],
        "aidmesh.correlation_id": correlation,
        "aidmesh.need_id": str(need_id),
    }
    assert len(ended.all) == 1


async def test_an_error_is_marked_and_its_words_stay_out(
    ended: Ended, ask: Callable[[], httpx.AsyncClient]
) -> None:
    async with ask() as client:
        assert (await client.get(f"/v1/broken?{CANARY}")).status_code == 422
        assert (await client.get("/v1/broken")).status_code == 500
    refused, failed = ended.all
    assert refused.status.status_code is StatusCode.UNSET
    assert failed.status.status_code is StatusCode.ERROR
    assert ids(failed)[2] == ""
    assert CANARY not in failed.to_json()
    assert CANARY not in refused.to_json()


def test_each_message_goes_on_in_its_own_trace_and_the_batch_is_linked(ended: Ended) -> None:
    first, alone = told(GIVEN), told(None)
    with ended.spans.batch("inventory-local", [first, alone]) as traced:
        assert logs.TRACEPARENT.get() is None
    one, other = [span for span in ended.all if span.name == "process intake.need.told.v1"]
    whole = ended.one("batch inventory-local")
    assert [each.traceparent for each in traced] == [context_of(one), context_of(other)]
    assert (ids(one)[0], ids(one)[2]) == (TRACE, PARENT)
    assert ids(other)[0] != TRACE
    assert ids(other)[2] == ids(whole)[2] == ""
    assert [f"{link.context.span_id:016x}" for link in whole.links] == [ids(one)[1], ids(other)[1]]
    assert (one.attributes or {})["messaging.message.id"] == str(first.event_id)
    assert (one.attributes or {})["aidmesh.need_id"] == str(first.event.need_id)


def test_what_a_message_causes_by_itself_goes_on_from_it(ended: Ended) -> None:
    with ended.spans.batch("inventory-local", [told(GIVEN)]) as (traced,):
        assert logs.TRACEPARENT.get() == traced.traceparent
    assert logs.TRACEPARENT.get() is None


def test_a_batch_that_fails_says_by_which_class_of_error(ended: Ended) -> None:
    with pytest.raises(LookupError), ended.spans.batch("inventory-local", [told(GIVEN)]):
        raise LookupError(CANARY)
    assert len(ended.all) == 2
    for span in ended.all:
        assert span.status.status_code is StatusCode.ERROR
        assert (span.attributes or {})["error.type"] == "LookupError"
        assert CANARY not in span.to_json()


def test_nothing_is_made_of_traces_that_nobody_records(ended: Ended) -> None:
    unsampled = f"00-{TRACE}-{PARENT}-00"
    with ended.spans.batch("inventory-local", [told(unsampled)]) as (traced,):
        assert (traced.traceparent or "").startswith(f"00-{TRACE}-")
        assert (traced.traceparent or "").endswith("-00")
    assert ended.all == ()


@dataclass(frozen=True)
class Row:
    """What is sent."""

    headers: Mapping[str, str]
    event_id: UUID = field(default_factory=uuid4)
    subject: str = "local.kyiv.intake.need.told.v1"


def test_what_is_sent_is_a_child_of_its_cause_and_failed_unless_taken(ended: Ended) -> None:
    taken, refused, untraced = Row({"traceparent": GIVEN}), Row({"traceparent": GIVEN}), Row({})
    with ended.spans.sending([taken, refused, untraced], lambda: {taken.event_id}):
        pass
    spans = {(each.attributes or {})["messaging.message.id"]: each for each in ended.all}
    assert set(spans) == {str(taken.event_id), str(refused.event_id)}
    assert {(each.name, *ids(each)[::2]) for each in spans.values()} == {
        ("send intake.need.told.v1", TRACE, PARENT)
    }
    assert spans[str(taken.event_id)].status.status_code is StatusCode.UNSET
    assert spans[str(refused.event_id)].status.status_code is StatusCode.ERROR


def test_sweeps_without_work_leave_no_span(ended: Ended) -> None:
    with ended.spans.sweep("overdue") as done:
        done(0)
    assert not ended.all
    with ended.spans.sweep("overdue") as done:
        context = logs.TRACEPARENT.get()
        done(3)
    assert context == context_of(ended.one("sweep overdue"))
    assert logs.TRACEPARENT.get() is None
    with pytest.raises(LookupError), ended.spans.sweep("overdue"):
        raise LookupError(CANARY)
    assert CANARY not in ended.all[-1].to_json()
    assert ended.all[-1].status.status_code is StatusCode.ERROR


def test_spans_go_to_the_endpoint_that_the_environment_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in tracing.ENDPOINTS:
        monkeypatch.delenv(name, raising=False)
    assert tracing.spans_of("intake", "kyiv") is None
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
        assert tracing.spans_of("intake", "kyiv") is None
        monkeypatch.delenv("OTEL_SDK_DISABLED")
        spans = tracing.spans_of("intake", "kyiv")
        assert spans is not None
        spans.end_request(spans.begin_request(GIVEN), "GET", "/v1/needs", 200, {})
        tracing.close([spans, None])
        (span,) = collector.spans
    assert (span.service, span.region, span.name) == ("intake", "kyiv", "GET /v1/needs")
    assert (span.trace_id, span.parent_id) == (TRACE, PARENT)
    tracing.close([spans])


def test_a_collector_that_is_away_holds_nobody_up() -> None:
    with collecting() as collector:
        gone = collector.url
    code = (
        "import aidmesh_chassis.tracing as tracing\n"
        "tracing.CLOSE_S_MAX = 0.2\n"
        "spans = tracing.spans_of('intake', 'kyiv')\n"
        "spans.end_request(spans.begin_request(None), 'GET', '/v1/needs', 200, {})\n"
        "tracing.close([spans])\n"
    )
    # In a process of its own: what is still being tried ends with it, and with no other test.
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": gone}
    subprocess.run([sys.executable, "-c", code], env=env, timeout=240, check=True)


def test_nothing_of_it_is_imported_where_traces_are_off() -> None:
    code = (
        "import sys, aidmesh_intake.app, aidmesh_chassis.tracing as tracing\n"
        "assert tracing.spans_of('intake', 'kyiv') is None\n"
        "print([name for name in sys.modules if name.startswith(('opentelemetry.sdk',"
        " 'opentelemetry.exporter', 'google.protobuf', 'requests'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
