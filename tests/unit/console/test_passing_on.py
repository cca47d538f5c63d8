"""What the desk asks of services belongs to the request that it serves."""

from uuid import uuid4

import httpx
import pytest
from pydantic import TypeAdapter
from structlog.contextvars import bound_contextvars

from aidmesh_chassis.logs import TRACEPARENT
from aidmesh_console.clients.link import Link

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize("trace", [TRACE, None])
async def test_correlation_and_trace_are_passed_on(trace: str | None) -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json={})

    correlation = str(uuid4())
    token = TRACEPARENT.set(trace)
    try:
        with bound_contextvars(correlation_id=correlation):
            async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
                link = Link(http, "intake", "http://intake", "token")
                await link.get("/v1/kinds", TypeAdapter(dict[str, object]))
    finally:
        TRACEPARENT.reset(token)
    (request,) = asked
    assert request.headers["x-correlation-id"] == correlation
    assert request.headers.get("traceparent") == trace
