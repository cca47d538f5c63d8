"""HTTP in → handlers."""

from fastapi import APIRouter

from aidmesh_intake.api import bulk, imports, kinds, needs, persons, requests


def routers() -> tuple[APIRouter, ...]:
    """Every route of intake; the bulk ones first, since their paths are the more exact."""
    return (
        imports.router,
        bulk.router,
        requests.router,
        needs.router,
        persons.router,
        kinds.router,
    )
