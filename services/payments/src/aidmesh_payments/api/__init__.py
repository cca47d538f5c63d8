"""HTTP in, handlers out: thin."""

from fastapi import FastAPI

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
    app.include_router(corrections.router(desk))
    app.include_router(grants.router(desk))
    app.include_router(instalments.router(desk))
    app.include_router(allotments.router(desk))
    app.include_router(rebalancing.router(desk))
    app.include_router(rebalancing.ask_router(desk))
    app.include_router(waits.router(desk))
    app.include_router(wait_rules.router(desk))
    app.include_router(regions.router(desk))
    app.include_router(payouts.router(desk))
    app.include_router(payouts.bulk_router(desk))
    app.include_router(orders.router(desk))
    app.include_router(orders.bulk_router(desk))
    app.include_router(spending.router(desk))
    app.include_router(spending.purchase_router(desk))
    app.include_router(unproven.router(desk))
