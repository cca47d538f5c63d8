"""The HTTP side: limits, problems, headers, ids, the access line, and nothing personal told."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
from asyncpg.exceptions._base import DataError as InputError
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import Depends, FastAPI, Request
from pydantic import Field, TypeAdapter
from structlog.contextvars import get_contextvars

from aidmesh_chassis import logs
from aidmesh_chassis.auth import Caller, Role, Verifier, issue_token, require
from aidmesh_chassis.http import Body, PageQuery, Routes, create_app, revealed, take
from aidmesh_chassis.privacy import PersonalText
from aidmesh_chassis.problems import CONFLICT, Problem
from aidmesh_chassis.routing import BulkRoute
from support.paging import walk

KEY = Ed25519PrivateKey.generate()
CANARY = "Kanarienvogel"


class Person(Body):
    name: PersonalText
    age: Annotated[int, Field(ge=0, le=130)]
    tags: tuple[str, ...] = ()


def make_app() -> FastAPI:
    async def fine() -> None:
        return None

    app = create_app(
        "intake",
        "kyiv",
        Verifier(KEY.public_key(), "kyiv"),
        checks={"database": fine},
        body_bytes_max=1000,
        request_ms_max=400,
    )
    router = Routes(prefix="/v1")

    @router.post("/people", status_code=201)
    async def register(body: Person) -> dict[str, int]:
        return {"age": body.age}

    @router.post("/people:reveal")
    async def reveal(body: Person) -> object:
        return revealed(body)

    @router.get("/people/{person_id}")
    async def person(person_id: UUID) -> dict[str, str]:
        return {k: str(v) for k, v in get_contextvars().items()}

    @router.get("/fail/{how}")
    async def fail(how: str) -> None:
        match how:
            case "conflict":
                raise Problem(CONFLICT, needs=2)
            case "bug":
                raise RuntimeError(f"bad value '{CANARY}'")
            case "outage":
                raise asyncpg.InterfaceError("the pool is closed")
            case "data":
                raise InputError(f"invalid input '{CANARY}'")
            case _:
                await asyncio.Event().wait()

    @router.get("/rows")
    async def rows(page: PageQuery) -> dict[str, object]:
        after = page.after(TypeAdapter(tuple[int, str]))
        start = 0 if after is None else after[0] + 1
        found = [(n, f"r{n}") for n in range(start, min(start + page.limit + 1, 5))]
        kept, following = page.cut(found, key=lambda row: row)
        return {"items": [row[1] for row in kept], "next": following}

    @router.get("/named")
    async def named(page: PageQuery) -> dict[str, object]:
        kept, following = page.of("dbace", lambda row: (row,))
        return {"items": list(kept), "next": following}

    @router.get("/me")
    async def me(caller: Annotated[Caller, Depends(require(Role.LEAD))]) -> str:
        return str(caller.staff_id)

    @router.post("/people/{person_id}:forget")
    async def forget(person_id: UUID) -> str:
        return "forgotten"

    bulk = Routes(prefix="/v1", route_class=BulkRoute)

    @bulk.post("/people:import")
    async def bring(body: list[Person], request: Request) -> tuple[int, bool]:
        ends = request.scope["aidmesh.timeout"].when()
        return len(body), ends - asyncio.get_running_loop().time() > 500

    take(router, bulk)
    take(app, router)
    return app


@pytest.fixture
def written() -> io.StringIO:
    stream = io.StringIO()
    logs.configure("host", "kyiv", stream=stream, level="debug")
    return stream


@pytest.fixture
async def client(written: io.StringIO) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(make_app(), raise_app_exceptions=True)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


def lines(written: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in written.getvalue().splitlines()]


def is_problem(response: httpx.Response, status: int, slug: str) -> dict[str, object]:
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, object] = response.json()
    assert body["type"] == f"urn:aidmesh:problem:{slug}"
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    return body


async def test_answers_carry_ids_and_careful_headers(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/people", json={"name": CANARY, "age": 30})
    assert response.status_code == 201
    assert str(UUID(response.headers["x-request-id"]))
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"


async def test_given_ids_are_kept_only_if_they_are_uuids(client: httpx.AsyncClient) -> None:
    given, correlation = str(uuid4()), str(uuid4())
    path = f"/v1/people/{uuid4()}"
    seen = await client.get(path, headers={"X-Request-Id": given, "X-Correlation-Id": correlation})
    assert seen.json() == {
        "service": "intake",
        "region": "kyiv",
        "request_id": given,
        "correlation_id": correlation,
    }
    other = await client.get(path, headers={"X-Request-Id": "+380501234567"})
    assert str(UUID(other.json()["request_id"]))
    assert other.json()["correlation_id"] == other.json()["request_id"]


async def test_rejected_fields_are_named_and_values_are_not(
    client: httpx.AsyncClient, written: io.StringIO
) -> None:
    response = await client.post(
        "/v1/people",
        json={"name": [CANARY], "age": 131, "phone": CANARY, "+380501234567 Olena": 1},
    )
    body = is_problem(response, 422, "invalid-request")
    assert {(row["field"], row["rule"]) for row in body["errors"]} == {  # type: ignore[attr-defined]
        ("body.name", "string_type"),
        ("body.age", "less_than_equal"),
        ("body.phone", "extra_forbidden"),
        ("body.***", "extra_forbidden"),
    }
    assert {"field": "body.age", "rule": "less_than_equal", "le": 130} in body["errors"]  # type: ignore[operator]
    assert CANARY not in response.text + written.getvalue()
    assert "Olena" not in response.text + written.getvalue()


@pytest.mark.parametrize(
    ("content", "kind", "status", "slug"),
    [
        (b'{"name": "x", ', "application/json", 400, "malformed-request"),
        (b'\xff{"name"', "application/json", 400, "malformed-request"),
        (b"[" * 900, "application/json", 400, "malformed-request"),
        (b'{"name": "x", "age": 1}', "text/plain", 415, "unsupported-media-type"),
        (b'{"name": "a\\u0000b", "age": 1}', "application/json", 422, "invalid-request"),
        (b'{"name":"x","age":1,"tags":["\\u0000"]}', "application/json", 422, "invalid-request"),
        (b'{"name": "x", "age": NaN}', "application/json", 422, "invalid-request"),
        (b"", "application/json", 422, "invalid-request"),
        (b" " * 1001, "application/json", 413, "body-too-large"),
    ],
)
async def test_unreadable_bodies(
    client: httpx.AsyncClient, content: bytes, kind: str, status: int, slug: str
) -> None:
    response = await client.post("/v1/people", content=content, headers={"Content-Type": kind})
    is_problem(response, status, slug)


@pytest.mark.parametrize(
    ("query", "field"),
    [("?limt=5", "query.limt"), ("?limit=2&limit=3&%2B380501234567=1", "query.***")],
)
async def test_a_query_that_is_not_declared_is_refused(
    client: httpx.AsyncClient, query: str, field: str
) -> None:
    body = is_problem(await client.get(f"/v1/rows{query}"), 422, "invalid-request")
    assert body["errors"] == [{"field": field, "rule": "extra_forbidden"}]
    assert (await client.get("/v1/rows?limit=2&after=")).status_code == 422  # no cursor of ours
    assert (await client.get("/v1/rows?limit=2")).status_code == 200


async def test_a_list_at_hand_is_read_in_the_order_of_its_keys(client: httpx.AsyncClient) -> None:
    async def get(query: dict[str, str]) -> Any:
        answer = await client.get("/v1/named", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    assert await walk(get, "items", rows_max=2) == list("abcde")
    assert await get({}) == {"items": list("abcde"), "next": None}
    is_problem(await client.get("/v1/named?after=abc"), 422, "invalid-request")


async def test_undeclared_queries_of_posts_and_prefixed_routes_too(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.post("/v1/people:import?dry_rum=true", json=[])
    is_problem(answer, 422, "invalid-request")
    answer = await client.post("/v1/people?x", json={"name": "x", "age": 1})
    is_problem(answer, 422, "invalid-request")
    assert (await client.get("/healthz?from=the-load-balancer")).status_code == 200


async def test_a_body_nobody_declared_must_be_empty(client: httpx.AsyncClient) -> None:
    path = f"/v1/people/{uuid4()}:forget"
    for nothing in (b"", b" {} "):
        assert (await client.post(path, content=nothing)).status_code == 200
    for something in (b'{"dry_run": true}', b"x", b"[]"):
        body = is_problem(await client.post(path, content=something), 422, "invalid-request")
        assert body["errors"] == [{"field": "body", "rule": "extra_forbidden"}]


async def test_body_limit_counts_what_streams_in(client: httpx.AsyncClient) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 100

    response = await client.post(
        "/v1/people", content=endless(), headers={"Content-Type": "application/json"}
    )
    is_problem(response, 413, "body-too-large")


async def test_bulk_routes_take_more_for_longer(
    client: httpx.AsyncClient, written: io.StringIO
) -> None:
    people = [{"name": CANARY, "age": 1}] * 100
    response = await client.post("/v1/people:import", json=people)
    assert response.json() == [100, True]
    assert lines(written)[-1]["route"] == "/v1/people:import"


@pytest.mark.parametrize(
    ("method", "path", "status", "slug"),
    [
        ("GET", "/nowhere", 404, "not-found"),
        ("DELETE", "/v1/people", 405, "method-not-allowed"),
        ("GET", "/v1/people/12", 422, "invalid-request"),
        ("GET", "/v1/rows?limit=201", 422, "invalid-request"),
        ("GET", "/v1/rows?after=%00", 400, "malformed-request"),
        ("GET", "/v1/rows?after=abc", 422, "invalid-request"),
        ("GET", "/v1/fail/conflict", 409, "conflict"),
        ("GET", "/v1/fail/bug", 500, "unexpected"),
        ("GET", "/v1/fail/data", 500, "unexpected"),
        ("GET", "/v1/fail/outage", 503, "unavailable"),
        ("GET", "/v1/fail/hang", 504, "took-too-long"),
        ("GET", "/v1/me", 401, "unauthenticated"),
    ],
)
async def test_every_error_is_a_problem(
    client: httpx.AsyncClient,
    written: io.StringIO,
    method: str,
    path: str,
    status: int,
    slug: str,
) -> None:
    response = await client.request(method, path)
    is_problem(response, status, slug)
    assert response.headers["x-request-id"]
    last = lines(written)[-1]
    assert last["event"] == "http.request"
    assert last["status"] == status
    assert CANARY not in response.text + written.getvalue()


async def test_unexpected_errors_are_found_by_the_correlation_id(
    client: httpx.AsyncClient, written: io.StringIO
) -> None:
    correlation = str(uuid4())
    response = await client.get("/v1/fail/bug", headers={"X-Correlation-Id": correlation})
    assert response.json()["correlation_id"] == correlation
    failed = next(line for line in lines(written) if line["event"] == "http.failed")
    assert failed["correlation_id"] == correlation
    assert failed["level"] == "error"
    exception = failed["exception"]
    assert isinstance(exception, dict)
    assert exception["type"] == "builtins.RuntimeError"
    assert exception["message"] == "bad value '***'"
    assert "test_http.py" in exception["at"][-1]


async def test_one_access_line_with_the_template_only(
    client: httpx.AsyncClient, written: io.StringIO
) -> None:
    person_id = uuid4()
    await client.get(f"/v1/people/{person_id}?q={CANARY}")
    (line,) = lines(written)
    assert line["event"] == "http.request"
    assert line["route"] == "/v1/people/{person_id}"
    assert line["service"] == "intake"
    assert isinstance(line["duration_ms"], float)
    assert str(person_id) not in written.getvalue()
    assert CANARY not in written.getvalue()


async def test_roles(client: httpx.AsyncClient, written: io.StringIO) -> None:
    staff_id = uuid4()

    def bearer(role: Role) -> dict[str, str]:
        token = issue_token(KEY, staff_id, [role], "kyiv", datetime.now(UTC), 60)
        return {"Authorization": f"Bearer {token}"}

    response = await client.get("/v1/me", headers=bearer(Role.LEAD))
    assert response.json() == str(staff_id)
    assert lines(written)[-1]["staff_id"] == str(staff_id)
    refused = is_problem(await client.get("/v1/me", headers=bearer(Role.FINANCE)), 403, "forbidden")
    assert refused["roles"] == ["lead"]
    response = await client.get("/v1/me", headers={"Authorization": "Bearer x.y.z"})
    is_problem(response, 401, "unauthenticated")
    assert response.headers["www-authenticate"] == "Bearer"


async def test_pages_follow_each_other(client: httpx.AsyncClient) -> None:
    seen: list[str] = []
    query: dict[str, str] = {"limit": "2"}
    page: dict[str, list[str]] = {}
    for _ in range(3):
        page = (await client.get("/v1/rows", params=query)).json()
        seen += page["items"]
        query["after"] = str(page["next"])
    assert seen == ["r0", "r1", "r2", "r3", "r4"]
    assert page["next"] is None


async def test_personal_data_shows_only_where_it_is_revealed(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/people:reveal", json={"name": CANARY, "age": 1})
    assert response.json()["name"] == CANARY
    assert "Kanarien" not in repr(Person(name=PersonalText(CANARY), age=1))


async def test_readiness_names_what_is_missing(written: io.StringIO) -> None:
    async def fails() -> None:
        raise ConnectionError(CANARY)

    async def fine() -> None:
        return None

    app = create_app(
        "intake", "kyiv", Verifier(KEY.public_key(), "kyiv"), checks={"a": fine, "b": fails}
    )
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://test"
    ) as client:
        response = await client.get("/readyz")
        assert response.status_code == 503
        assert response.json() == {
            "ready": False,
            "checks": {"a": "ok", "b": "failed: ConnectionError"},
        }
        assert (await client.get("/healthz")).status_code == 200
    assert {line["event"] for line in lines(written)} == {"http.probe"}


async def test_metrics_know_routes_and_no_paths(client: httpx.AsyncClient) -> None:
    await client.get(f"/v1/people/{uuid4()}")
    await client.get(f"/{CANARY}")
    text = (await client.get("/metrics")).text
    assert (
        'aidmesh_http_request_seconds_count{method="GET",route="/v1/people/{person_id}",'
        'status="2xx"} 1.0'
    ) in text
    assert 'route="(none)",status="4xx"} 1.0' in text
    assert 'aidmesh_info{region="kyiv",service="intake"} 1.0' in text
    assert CANARY not in text


async def test_docs_need_nothing_from_elsewhere(client: httpx.AsyncClient) -> None:
    page = await client.get("/docs")
    assert page.status_code == 200
    assert "/v1/people:reveal" in page.text
    assert "<script" not in page.text
    assert "http://" not in page.text
    assert "https://" not in page.text
    document = (await client.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    person = document["components"]["schemas"]["Person"]["properties"]
    assert person["name"]["x-personal"] is True
    assert (
        "application/problem+json"
        in (document["paths"]["/v1/people"]["post"]["responses"]["422"]["content"])
    )


async def test_trace_context_is_passed_on_only_if_well_formed(written: io.StringIO) -> None:
    app = create_app("intake", "kyiv", Verifier(KEY.public_key(), "kyiv"))

    @app.get("/trace")
    async def trace() -> str | None:
        return logs.TRACEPARENT.get()

    good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://test"
    ) as client:
        assert (await client.get("/trace", headers={"traceparent": good})).json() == good
        assert (await client.get("/trace", headers={"traceparent": CANARY})).json() is None
