"""HTTP in, handlers out: thin."""

from fastapi import FastAPI

from aidmesh_chassis.http import take
from aidmesh_payments.api import (
    allotments,
    corrections,
    grants,
    instalments,
    orders,
    payouts,
    rebalancing,
    regions,
    spending,
    unproven,
    wait_rules,
    waits,
)
from aidmesh_payments.api.desk import Desk


def add_routes(app: FastAPI, desk: Desk) -> None:
    """Add every route of payments."""
    take(app, corrections.router(desk))
    take(app, grants.router(desk))
    take(app, instalments.router(desk))
    take(app, allotments.router(desk))
    take(app, rebalancing.router(desk))
    take(app, rebalancing.ask_router(desk))
    take(app, waits.router(desk))
    take(app, wait_rules.router(desk))
    take(app, regions.router(desk))
    take(app, payouts.router(desk))
    take(app, payouts.bulk_router(desk))
    take(app, orders.router(desk))
    take(app, orders.bulk_router(desk))
    take(app, spending.router(desk))
    take(app, spending.purchase_router(desk))
    take(app, unproven.router(desk))
