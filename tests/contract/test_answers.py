"""Every read of every service says in its OpenAPI document what it answers."""

from pathlib import Path
from typing import Literal
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ValidationError

from aidmesh_chassis.auth import verifier_of
from aidmesh_chassis.http import CSV_ANSWER, Routes, create_app, take
from aidmesh_chassis.keys import KeyRing
from support.answers import as_told, untyped_answers
from support.apps import SERVICES, app_of


@pytest.mark.parametrize("name", SERVICES)
def test_no_read_keeps_back_what_it_answers(name: str, keys_dir: Path) -> None:
    assert untyped_answers(app_of(name, keys_dir)) == []


class Part(BaseModel):
    """Fields of every kind that says what it is."""

    id: UUID
    state: Literal["up", "dark"] | None
    counts: dict[str, int]
    pair: tuple[int, str]
    more: "list[Part]" = []


class Loose(BaseModel):
    """Fields that do not."""

    known: Part
    row: dict[str, object]
    rows: list[dict[str, object]]
    anything: object
    some: list[object]
    either: dict[str, object] | None


def _app(keys_dir: Path, routes: Routes) -> FastAPI:
    app = create_app("test", "kyiv", verifier_of(KeyRing(keys_dir), "kyiv"))
    take(app, routes)
    return app


def test_what_is_typed_and_what_not_is_told_apart(keys_dir: Path) -> None:
    routes = Routes(prefix="/v1")

    @routes.get("/part")
    async def part() -> Part:
        raise NotImplementedError

    @routes.get("/parts")
    async def parts() -> list[Part]:
        return []

    @routes.get("/by-name")
    async def by_name() -> dict[str, Part]:
        return {}

    @routes.get("/file.csv", response_class=Response, responses=CSV_ANSWER)
    async def file() -> Response:
        return Response("a,b", media_type="text/csv")

    @routes.get("/response")
    async def response() -> Response:
        return Response("{}", media_type="application/json")

    @routes.get("/silent", response_class=Response)
    async def silent() -> Response:
        return Response()

    @routes.get("/untold")
    async def untold() -> dict[str, object]:
        return {}

    @routes.get("/untold-rows")
    async def untold_rows() -> list[dict[str, object]]:
        return []

    @routes.get("/loose")
    async def loose() -> Loose:
        raise NotImplementedError

    assert untyped_answers(_app(keys_dir, routes)) == [
        "/v1/response all of it",
        "/v1/silent",
        "/v1/untold []",
        "/v1/untold-rows [][]",
        "/v1/loose Loose.row[] Loose.rows[][] Loose.anything Loose.some[] Loose.either[]",
    ]


async def test_an_answer_that_is_not_as_declared_is_found(keys_dir: Path) -> None:
    whole = {"id": f"{UUID(int=10)}", "state": None, "counts": {"a": 1}, "pair": [1, "b"]}
    answers = {
        "whole": whole | {"more": [whole]},
        "unknown-field": whole | {"extra": 1},
        "unknown-field-within": whole | {"more": [whole | {"extra": 1}]},
        "missing-field": {name: value for name, value in whole.items() if name != "state"},
        "missing-value": whole | {"counts": None},
        "other-form": whole | {"counts": {"a": "1"}},
        "other-way-to-write": whole | {"id": f"{UUID(int=10)}".upper()},
    }
    routes = Routes(prefix="/v1")

    @routes.get("/parts/{name}", response_model=Part)
    async def part(name: str) -> Response:
        return JSONResponse(answers[name])

    app = _app(keys_dir, routes)
    found = []
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://test",
        event_hooks={"response": [as_told(app)]},
    ) as client:
        for name in answers:
            try:
                await client.get(f"/v1/parts/{name}")
            except (AssertionError, ValidationError):
                found.append(name)
    assert found == [name for name in answers if name != "whole"]
