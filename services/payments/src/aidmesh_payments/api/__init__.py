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
    purchases,
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
    for router in (
        corrections.router(desk),
        grants.router(desk),
        instalments.router(desk),
        allotments.router(desk),
        rebalancing.router(desk),
        rebalancing.ask_router(desk),
        waits.router(desk),
        wait_rules.router(desk),
        regions.router(desk),
        payouts.router(desk),
        payouts.bulk_router(desk),
        orders.router(desk),
        orders.bulk_router(desk),
        spending.router(desk),
        purchases.router(desk),
        unproven.router(desk),
    ):
        take(app, router)
