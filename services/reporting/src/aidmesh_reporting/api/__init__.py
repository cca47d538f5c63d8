"""HTTP in, answers out: thin."""

from fastapi import FastAPI

from aidmesh_chassis.db import Database
from aidmesh_chassis.http import take
from aidmesh_chassis.peers import Peers
from aidmesh_reporting.api import lists, results


def add_routes(
    app: FastAPI,
    database: Database,
    region: str,
    small_cell_k: int,
    peers: Peers,
) -> None:
    """Add every route of reporting; `peers` as in `results.router`."""
    take(app, results.router(database, region, small_cell_k, peers))
    take(app, lists.router(database))
