"""HTTP in, answers out: thin."""

from collections.abc import Callable, Collection

from fastapi import FastAPI

from aidmesh_chassis.db import Database
from aidmesh_reporting.api import lists, results


def add_routes(
    app: FastAPI,
    database: Database,
    region: str,
    small_cell_k: int,
    regions: Callable[[], Collection[str] | None],
) -> None:
    """Add every route of reporting; `regions` as in `results.router`."""
    app.include_router(results.router(database, region, small_cell_k, regions))
    app.include_router(lists.router(database))
