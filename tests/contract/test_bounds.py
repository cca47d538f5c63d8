"""Every list of every service has pages, or says how long it can be."""

from pathlib import Path

import pytest
from pydantic import BaseModel

from aidmesh_chassis.auth import verifier_of
from aidmesh_chassis.http import PageQuery, Routes, create_app, rows_max, take
from aidmesh_chassis.keys import KeyRing
from support.apps import SERVICES, app_of
from support.routes import gets_without_bound


@pytest.mark.parametrize("name", SERVICES)
def test_no_list_is_of_any_length(name: str, keys_dir: Path) -> None:
    assert gets_without_bound(app_of(name, keys_dir)) == []


class Row(BaseModel):
    """Something that there are many of."""

    name: str


class Rows(BaseModel):
    """Many of them."""

    rows: list[Row] | None
    about: Row


def test_lists_are_told_apart(keys_dir: Path) -> None:
    routes = Routes()

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
    take(app, routes)
    long = ["/bare", "/within", "/untold", "/by-name", "/of/{name}/bare", "/half"]
    assert gets_without_bound(app) == long
