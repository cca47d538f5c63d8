"""What stands around every route of a service, as plain ASGI: see `RequestMiddleware`."""

import asyncio
import time
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid4

import asyncpg
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, clear_contextvars, get_contextvars

from aidmesh_chassis import problems
from aidmesh_chassis.envelope import traceparent_of
from aidmesh_chassis.errors import FAULTS, TRANSIENT
from aidmesh_chassis.logs import CORRELATION, TRACEPARENT, get_logger
from aidmesh_chassis.metrics import Metrics
from aidmesh_chassis.problems import Problem

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from aidmesh_chassis.spans import Spans

log = get_logger()

_PROBES: Final = frozenset({"/healthz", "/readyz", "/metrics"})
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_NO_ROUTE: Final = "(none)"


def _given_id(raw: bytes | None) -> str | None:
    """An id that a caller sent, if it is a UUID: free text could carry anything into the logs."""
    if raw is None or len(raw) > 36:
        return None
    try:
        return str(UUID(raw.decode("ascii")))
    except ValueError:
        return None


def route_of(scope: Scope) -> str:
    """The template of the route that matched."""
    path = getattr(scope.get("route"), "path_format", None)
    return path if isinstance(path, str) else _NO_ROUTE


def _may_be_retried(error: BaseException) -> bool:
    """Whether the database or the network is away or busy, so that a retry will do.

    asyncpg says InterfaceError when the connection was lost before the statement at hand.
    """
    return isinstance(error, (*TRANSIENT, asyncpg.InterfaceError)) and not isinstance(error, FAULTS)


def _problem_for(error: BaseException) -> Problem:
    if _may_be_retried(error):
        return problems.retry_after(problems.UNAVAILABLE, 2)
    correlation_id = get_contextvars().get("correlation_id")
    return Problem(problems.UNEXPECTED, correlation_id=str(correlation_id))


async def on_unexpected(request: Request, error: Exception) -> Response:
    # Starlette raises the exception again after this answer; the middleware then logs it.
    return _problem_for(error).response()


class _Answer:
    """What is known about the answer to one request while it is sent."""

    __slots__ = ("_headers", "_replaced", "_scope", "_send", "status")

    def __init__(self, scope: Scope, send: Send, request_id: str) -> None:
        self.status = 0
        self._scope = scope
        self._send = send
        self._replaced = False
        self._headers = [
            (b"x-request-id", request_id.encode()),
            (b"x-content-type-options", b"nosniff"),
        ]

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = list(message.get("headers", ()))
            names = dict(headers)
            if self.status == 413 and names.get(b"content-type", b"").startswith(b"text/plain"):
                # The body limiter answers in plain text.
                self._replaced = True
                await self.problem(Problem(problems.TOO_LARGE))
                return
            headers += self._headers
            if b"cache-control" not in names:
                headers.append((b"cache-control", b"no-store"))
            message = {**message, "headers": headers}
        elif self._replaced:
            return
        await self._send(message)

    async def problem(self, problem: Problem) -> None:
        """Answer with a problem; nothing may have been sent yet."""

        async def receive_nothing() -> Message:
            return {"type": "http.disconnect"}

        response = problem.response()
        response.raw_headers += [*self._headers, (b"cache-control", b"no-store")]
        self.status = response.status_code
        await response(self._scope, receive_nothing, self._send)


class RequestMiddleware:
    """The outermost layer.

    Request and correlation id in the log context, a time limit, problem details for whatever
    goes wrong, one access line with the route's template (never the path: it holds ids),
    metrics, and careful headers.
    """

    def __init__(
        self,
        app: ASGIApp,
        service: str,
        region: str,
        metrics: Metrics,
        request_ms_max: int,
        spans: "Spans | None" = None,
    ) -> None:
        self._app = app
        self._service = service
        self._region = region
        self._metrics = metrics
        self._spans = spans
        self._request_s_max = request_ms_max / 1000

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        headers = dict(scope["headers"])
        request_id = _given_id(headers.get(b"x-request-id")) or str(uuid4())
        correlation_id = _given_id(headers.get(b"x-correlation-id")) or request_id
        clear_contextvars()
        bind_contextvars(
            service=self._service,
            region=self._region,
            request_id=request_id,
            correlation_id=correlation_id,
        )
        CORRELATION.set(correlation_id)
        span = self._trace(
            scope, traceparent_of(headers.get(b"traceparent", b"").decode("latin-1"))
        )
        answer = _Answer(scope, send, request_id)
        self._metrics.http_running.inc()
        try:
            await self._run(scope, receive, answer)
        finally:
            self._metrics.http_running.dec()
            self._account(scope, answer.status, time.perf_counter() - started, span)
            clear_contextvars()
            CORRELATION.set(None)
            TRACEPARENT.set(None)

    async def _run(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        if b"%00" in scope.get("raw_path", b"") or b"%00" in scope["query_string"]:
            await answer.problem(Problem(problems.MALFORMED))
            return
        bound = asyncio.timeout(self._request_s_max)
        try:
            async with bound:
                scope["aidmesh.timeout"] = bound
                await self._app(scope, receive, answer.send)
        except Exception as error:
            if isinstance(error, TimeoutError) and bound.expired():
                log.warning("http.timed_out", route=route_of(scope))
                problem = Problem(problems.TOOK_TOO_LONG)
            elif _may_be_retried(error):
                log.warning("http.unavailable", route=route_of(scope), exc_info=True)
                problem = _problem_for(error)
            else:
                log.exception("http.failed", route=route_of(scope))
                problem = _problem_for(error)
            if answer.status == 0:
                await answer.problem(problem)

    def _trace(self, scope: Scope, given: str | None) -> "Span | None":
        """Begin the request's span where traces are on; what it causes carries its context on."""
        if self._spans is None or scope["path"] in _PROBES:
            TRACEPARENT.set(given)
            return None
        span = self._spans.begin_request(given)
        TRACEPARENT.set(self._spans.context_of(span))
        return span

    def _account(self, scope: Scope, status: int, seconds: float, span: "Span | None") -> None:
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        route = route_of(scope)
        self._metrics.observe_http(method, route, status, seconds)
        duration_ms = round(seconds * 1000, 1)
        if route in _PROBES:
            log.debug(
                "http.probe", method=method, route=route, status=status, duration_ms=duration_ms
            )
        else:
            log.info(
                "http.request", method=method, route=route, status=status, duration_ms=duration_ms
            )
        if span is not None and self._spans is not None:
            self._spans.end_request(span, method, route, status, get_contextvars())


def extend_time(request: Request, ms_max: int) -> None:
    """Give this request `ms_max` milliseconds from now instead of the app's limit."""
    bound: asyncio.Timeout = request.scope["aidmesh.timeout"]
    bound.reschedule(asyncio.get_running_loop().time() + ms_max / 1000)
