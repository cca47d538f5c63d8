"""HTTP in → handlers."""

from fastapi import FastAPI

from aidmesh_chassis.http import take
from aidmesh_intake.api.bulk import router as bulk
from aidmesh_intake.api.context import Context
from aidmesh_intake.api.elsewhere import router as elsewhere
from aidmesh_intake.api.imports import router as imports
from aidmesh_intake.api.kinds import router as kinds
from aidmesh_intake.api.links import router as links
from aidmesh_intake.api.merging import router as merging
from aidmesh_intake.api.needs import router as needs
from aidmesh_intake.api.persons import router as persons
from aidmesh_intake.api.reasons import router as reasons
from aidmesh_intake.api.referrals import router as referrals
from aidmesh_intake.api.requests import router as requests
from aidmesh_intake.api.steps import router as steps


def add_routes(app: FastAPI, context: Context) -> None:
    """Add every route of intake, which all work with this."""
    app.state.context = context
    for router in (
        *(imports, bulk, requests, reasons, needs, steps, referrals, elsewhere),
        *(persons, merging, links, kinds),
    ):
        take(app, router)
