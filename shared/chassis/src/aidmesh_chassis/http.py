"""The HTTP side of a service: one way to make its FastAPI app, and what its routes use.

`middleware` stands around every route, and `retrying` runs one again that met another's locks;
`problems` renders what goes wrong. Bodies are limited to `BODY_BYTES_MAX`, while they stream in;
routes made with `BulkRoute` may take more, for longer. What a route does not declare is refused, in
the query and in the body alike: a misspelled `dry_run` must not import for real.
"""

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Final, TypeVar

from fastapi import (
    APIRouter,  # noqa: TID251 - for Routes
    Depends,
    FastAPI,
    Query,
    Request,
    Response,
)
from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Depends as DependsParam
from fastapi.params import Query as QueryParam
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, model_validator
from pydantic_core import PydanticCustomError, to_json
from starlette.responses import HTMLResponse, JSONResponse
from starlette.types import ASGIApp, Scope

from aidmesh_chassis import problem_handlers, problems
from aidmesh_chassis.auth import Verifier
from aidmesh_chassis.metrics import Metrics
from aidmesh_chassis.middleware import RequestMiddleware, on_unexpected, route_of
from aidmesh_chassis.openapi_page import render
from aidmesh_chassis.privacy import REVEAL
from aidmesh_chassis.problems import Problem
from aidmesh_chassis.retrying import Retrying
from aidmesh_chassis.routing import LateRoute
from aidmesh_chassis.tracing import spans_of

BODY_BYTES_MAX: Final = 256 * 1024
REQUEST_MS_MAX: Final = 30_000
CHECK_MS_MAX: Final = 2_000
PAGE_ROWS_MAX: Final = 200

Check = Callable[[], Awaitable[object]]
"""A readiness check: returns when all is well, raises when not."""

K = TypeVar("K")
R = TypeVar("R")


class Body(BaseModel):
    """Base of every request body: unknown fields are errors, text is trimmed, no NUL.

    PostgreSQL cannot store NUL in text, so it is refused here and not by a failing statement.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, str_strip_whitespace=True, allow_inf_nan=False
    )

    @model_validator(mode="before")
    @classmethod
    def _no_nul(cls, data: object) -> object:
        if isinstance(data, dict):
            for value in data.values():
                texts = value if isinstance(value, list) else (value,)
                if any(isinstance(text, str) and "\0" in text for text in texts):
                    raise PydanticCustomError("nul_character", "NUL characters are not accepted")
        return data


def revealed(model: BaseModel) -> Response:
    """An answer that shows personal data: only for callers whose role was checked."""
    return Response(model.model_dump_json(context=dict(REVEAL)), media_type="application/json")


@dataclass(frozen=True, slots=True)
class Page:
    """Which rows of a list: at most `limit`, those after the key that `cursor` holds.

    Lists are read by key, not by offset, so that rows that come in meanwhile shift nothing.
    A cursor shows in URLs: build it from ids, dates and scores, never from personal data.
    """

    limit: int
    cursor: str | None

    def after(self, key: TypeAdapter[K]) -> K | None:
        """The sort key of the last row seen, or None on the first page.

        Raises `Problem` (422) when the cursor was not made by `cut` for this key.
        """
        if self.cursor is None:
            return None
        try:
            return key.validate_json(base64.urlsafe_b64decode(self.cursor + "=="))
        except (ValidationError, binascii.Error, ValueError):
            raise Problem(
                problems.INVALID, errors=[{"field": "query.after", "rule": "cursor"}]
            ) from None

    def cut(self, rows: Sequence[R], key: Callable[[R], object]) -> tuple[Sequence[R], str | None]:
        """Of up to `limit` + 1 rows read, the page's rows and the cursor of the next page."""
        if len(rows) <= self.limit:
            return rows, None
        kept = rows[: self.limit]
        return kept, base64.urlsafe_b64encode(to_json(key(kept[-1]))).rstrip(b"=").decode()

    def of(
        self, rows: Iterable[R], key: Callable[[R], tuple[str, ...]]
    ) -> tuple[Sequence[R], str | None]:
        """Of all rows of a list that is at hand, the page's in the order of `key`, and a cursor.

        Raises `Problem` (422) as `after` does.
        """
        after = self.after(_TEXTS)
        rest = (row for row in rows if after is None or key(row) > after)
        return self.cut(sorted(rest, key=key)[: self.limit + 1], key)


_TEXTS: Final = TypeAdapter(tuple[str, ...])


async def _page(
    limit: Annotated[int, Query(ge=1, le=PAGE_ROWS_MAX, description="Rows per page")] = 50,
    after: Annotated[
        str | None, Query(max_length=512, description="`next` of the page before")
    ] = None,
) -> Page:
    return Page(limit, after)


PageQuery = Annotated[Page, Depends(_page)]
"""Declare a parameter of this type to have `limit` and `after` read from the query."""


def rows_max(rows: int) -> dict[str, object]:
    """`openapi_extra` of a GET whose list has no pages: it never holds more than so many rows."""
    return {"x-rows-max": rows}


CSV_ANSWER: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"text/csv": {"schema": {"type": "string"}}}}
}
"""`responses` of a GET that answers a file and no JSON; it takes `response_class=Response` too."""


@dataclass(frozen=True, slots=True)
class Declared:
    """What a route takes besides its path and headers: names in the query, and whether a body."""

    query: frozenset[str]
    takes_body: bool


def declared_by(scope: Scope) -> Declared | None:
    """What the route that matched takes; None for pages outside the OpenAPI document.

    Read off the route and not off the document: to draw that up takes as long as a hundred
    requests, and whoever asks first after a start would wait for it.
    """
    route = scope.get("route")
    dependant = getattr(route, "dependant", None)
    if not isinstance(dependant, Dependant) or not getattr(route, "include_in_schema", False):
        return None
    query = (p for p in get_flat_params(dependant) if isinstance(p.field_info, QueryParam))
    # A route that reads the body itself, as it streams in, says so in the document alone.
    streams_in = "requestBody" in (getattr(route, "openapi_extra", None) or {})
    takes_body = streams_in or getattr(route, "body_field", None) is not None
    return Declared(frozenset(each.alias for each in query), takes_body)


class Routes(APIRouter):
    """Some routes of a service, complete in themselves: an app can `take` them as they are.

    `include_router` would make each of them a second time, with what the app adds to it. That is
    half of what building an app takes, at every start.
    """

    def __init__(
        self,
        *,
        dependencies: Sequence[DependsParam] = (),
        route_class: type[LateRoute] = LateRoute,
        **options: Any,
    ) -> None:
        super().__init__(
            dependencies=[*_DEPENDENCIES, *dependencies],
            responses=_ANSWERS,
            route_class=route_class,
            **options,
        )


def take(into: FastAPI | Routes, routes: Routes) -> None:
    """Have an app answer at these routes, or other routes hold them too."""
    into.routes.extend(routes.routes)


class _App(FastAPI):
    """FastAPI with `RequestMiddleware` around all of it, error pages included."""

    outermost: Callable[[ASGIApp], ASGIApp]

    @cached_property
    def declared(self) -> dict[tuple[str, str], Declared | None]:
        """By method and path, what the routes take that were asked so far."""
        return {}

    def build_middleware_stack(self) -> ASGIApp:
        return self.outermost(super().build_middleware_stack())


async def _only_declared(request: Request) -> None:
    """Refuse what the route would ignore; pages outside the document are free to take anything."""
    app = request.app
    assert isinstance(app, _App)  # noqa: S101 - only `create_app` uses it
    key = (request.method, route_of(request.scope))
    if key not in app.declared:
        app.declared[key] = declared_by(request.scope)
    declared = app.declared[key]
    if declared is None:
        return
    errors: list[Mapping[str, object]] = [
        {"loc": ("query", name), "type": "extra_forbidden"}
        for name in dict.fromkeys(request.query_params)
        if name not in declared.query
    ]
    if not declared.takes_body and (await request.body()).strip() not in _NO_FIELDS:
        errors.append({"loc": ("body",), "type": "extra_forbidden"})
    if errors:
        raise Problem(problems.INVALID, errors=problems.rejected_fields(errors))


_NO_FIELDS: Final = frozenset({b"", b"{}"})


def create_app(
    service: str,
    region: str,
    verifier: Verifier,
    *,
    checks: Mapping[str, Check] | None = None,
    body_bytes_max: int = BODY_BYTES_MAX,
    request_ms_max: int = REQUEST_MS_MAX,
    around: Callable[[ASGIApp], ASGIApp] = lambda stack: stack,
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]] | None = None,
) -> FastAPI:
    """The app of one service: add its routers and serve it.

    `around` puts something around the app and its limit of bodies; a refusal that is not plain text
    is sent as it is.
    `checks` are what `/readyz` asks, each within `CHECK_MS_MAX`; what `app.state.details` gives by
    name is shown there too and makes nothing unready. `/docs`, `/openapi.json`,
    `/healthz`, `/readyz` and `/metrics` need no token and say nothing about people.
    """
    app = _App(
        title=f"Aidmesh {service}",
        version="1",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        max_body_size=body_bytes_max,
        lifespan=lifespan,
        dependencies=_DEPENDENCIES,
        responses=_ANSWERS,
        # Its log records would carry exception messages past the redaction of ours.
        telemetry={
            "tracing": False,
            "metrics": False,
            "logs": False,
            "operation_spans": False,
            "auto_configure": False,
        },
    )
    measured = Metrics(service, region)
    app.state.verifier = verifier
    app.state.metrics = measured
    spans = app.state.spans = spans_of(service, region)
    details: dict[str, Callable[[], object]] = {}
    app.state.details = details
    app.outermost = lambda inner: RequestMiddleware(
        around(inner), service, region, measured, request_ms_max, spans
    )
    problem_handlers.install(app)
    app.add_middleware(Retrying)
    app.add_exception_handler(Exception, on_unexpected)
    _add_operators_routes(app, measured, dict(checks or {}), details)
    return app


_PROBLEM_CONTENT: Final[dict[str, object]] = {
    problems.MEDIA_TYPE: {
        "schema": {
            "type": "object",
            "required": ["type", "title", "status", "detail"],
            "properties": {
                "type": {"type": "string", "format": "uri"},
                "title": {"type": "string"},
                "status": {"type": "integer"},
                "detail": {"type": "string", "description": "What to do"},
            },
        }
    }
}


_DEPENDENCIES: Final = (Depends(_only_declared),)
"""Of every route."""
_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    "default": {"description": "A problem (RFC 9457)", "content": _PROBLEM_CONTENT},
    422: {"description": "Fields that broke a rule", "content": _PROBLEM_CONTENT},
}
"""That any route may give."""


async def _outcome(check: Check) -> str:
    try:
        async with asyncio.timeout(CHECK_MS_MAX / 1000):
            await check()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
        return f"failed: {type(error).__name__}"
    return "ok"


def _add_operators_routes(
    app: FastAPI,
    metrics: Metrics,
    checks: Mapping[str, Check],
    details: Mapping[str, Callable[[], object]],
) -> None:
    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> Response:
        return JSONResponse({"alive": True})

    @app.get("/readyz", include_in_schema=False)
    async def readyz() -> Response:
        outcomes = await asyncio.gather(*(_outcome(check) for check in checks.values()))
        ready = all(outcome == "ok" for outcome in outcomes)
        shown = {name: tell() for name, tell in details.items()}
        return JSONResponse(
            {"ready": ready, "checks": dict(zip(checks, outcomes, strict=True)), **shown},
            status_code=200 if ready else 503,
        )

    @app.get("/metrics", include_in_schema=False)
    async def exposition() -> Response:
        return Response(metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return HTMLResponse(
            render(app.openapi()),
            headers={"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"},
        )
