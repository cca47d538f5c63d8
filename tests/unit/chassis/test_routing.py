"""What a route knows, and when."""

import asyncio

import httpx
import pytest
from fastapi import FastAPI
from fastapi.exceptions import FastAPIError
from fastapi.routing import APIRoute

from aidmesh_chassis.http import Routes, take
from aidmesh_chassis.routing import LateRoute


def app_with(*paths: str) -> FastAPI:
    routes = Routes(prefix="/v1")
    for path in paths:

        @routes.get(path)
        async def count(many: int) -> list[int]:
            return list(range(many))

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    take(app, routes)
    return app


def made(app: FastAPI) -> dict[str, bool]:
    return {
        each.path: "dependant" in vars(each) for each in app.routes if isinstance(each, LateRoute)
    }


async def test_a_route_is_completed_by_the_first_request_that_it_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    completed: list[str] = []
    whole = APIRoute.__init__

    def note(self: APIRoute, path: str, *arguments: object, **options: object) -> None:
        completed.append(path)
        options["dependencies"] = []  # those of a service's own app
        whole(self, path, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(APIRoute, "__init__", note)
    app = app_with("/asked", "/not-asked")
    assert made(app) == {"/v1/asked": False, "/v1/not-asked": False}

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        missed = await client.post("/v1/asked")
        found = [await client.get("/v1/asked", params={"many": n}) for n in (1, 3)]
        wrong = await client.get("/v1/asked", params={"many": "a few"})

    assert missed.status_code == 405
    assert [each.json() for each in found] == [[0], [0, 1, 2]]
    assert wrong.status_code == 422
    assert completed == ["/v1/asked"]
    assert made(app) == {"/v1/asked": True, "/v1/not-asked": False}


def test_the_document_has_what_was_not_asked_for() -> None:
    app = app_with("/asked", "/not-asked")

    assert app.openapi()["paths"].keys() == {"/v1/asked", "/v1/not-asked"}
    assert all(made(app).values())


def test_what_no_route_has_is_not_there_before_or_after() -> None:
    route = next(each for each in app_with("/asked").routes if isinstance(each, LateRoute))

    for _ in range(2):
        with pytest.raises(AttributeError, match="no_such"):
            getattr(route, "no_such")  # noqa: B009 - the checker of types knows that it is not
    assert route.dependant.call is route.endpoint


async def test_a_route_that_cannot_be_completed_says_why_each_time() -> None:
    routes = Routes()

    @routes.get("/odd")
    async def odd() -> asyncio.Lock:
        return asyncio.Lock()

    app = FastAPI()
    take(app, routes)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://test"
    ) as client:
        for _ in range(2):
            with pytest.raises(FastAPIError, match="response field"):
                await client.get("/odd")
