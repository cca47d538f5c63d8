"""Every list of every service has pages, or says how long it can be."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
from fastapi import APIRouter
from pydantic import BaseModel

from aidmesh_chassis.auth import verifier_of
from aidmesh_chassis.http import PageQuery, create_app, gets_without_bound, rows_max
from aidmesh_chassis.keys import KeyRing, create_region_keys
from aidmesh_chassis.service import Service

SERVICES = ("intake", "inventory", "payments", "notification", "reporting")


@pytest.fixture(scope="module")
def keys_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bounds") / "keys"
    create_region_keys(folder)
    return folder


@pytest.mark.parametrize("name", SERVICES)
def test_no_list_is_of_any_length(name: str, keys_dir: Path) -> None:
    settings = import_module(f"aidmesh_{name}.config").Settings
    build: Callable[[object], Service] = import_module(f"aidmesh_{name}.app").build
    values = {"region": "kyiv", "database_url": "postgresql://nowhere/none", "keys_dir": keys_dir}
    assert gets_without_bound(build(settings(**values)).app) == []


class Row(BaseModel):
    """Something that there are many of."""

    name: str


class Rows(BaseModel):
    """Many of them."""

    rows: list[Row] | None
    about: Row


def test_lists_are_told_apart(keys_dir: Path) -> None:
    routes = APIRouter()

    @routes.get("/bare")
    async def bare() -> list[Row]:
        return []

    @routes.get("/within")
    async def within() -> Rows:
        return Rows(rows=[], about=Row(name=""))

    @routes.get("/untold")
    async def untold() -> dict[str, object]:
        return {}

    @routes.get("/by-name")
    async def by_name() -> dict[str, int]:
        return {}

    @routes.get("/of/{name}/bare")
    async def bare_of(name: str) -> list[Row]:
        return [Row(name=name)]

    @routes.get("/half")
    async def half(limit: int) -> list[Row]:
        return [Row(name=str(limit))]

    @routes.get("/paged")
    async def paged(page: PageQuery) -> dict[str, object]:
        return {"next": page.cursor}

    @routes.get("/short", openapi_extra=rows_max(3))
    async def short() -> list[Row]:
        return []

    @routes.get("/one")
    async def one() -> Row:
        return Row(name="")

    @routes.get("/of/{name}")
    async def one_of(name: str) -> Rows:
        return Rows(rows=[], about=Row(name=name))

    app = create_app("test", "kyiv", verifier_of(KeyRing(keys_dir), "kyiv"))
    app.include_router(routes)
    long = ["/bare", "/within", "/untold", "/by-name", "/of/{name}/bare", "/half"]
    assert gets_without_bound(app) == long
