"""The HTTP API: thin; what it asks for is decided and done in `handlers`."""

from fastapi import FastAPI

from aidmesh_chassis.db import Database
from aidmesh_chassis.http import take
from aidmesh_chassis.keys import KeyRing
from aidmesh_chassis.peers import LinkOf
from aidmesh_inventory.api import (
    accepting,
    alerts,
    assets,
    beds,
    capacity,
    check_outs,
    discrepancies,
    forms,
    lots,
    manifests,
    proposing,
    reservations,
    shipments,
    sites,
    slots,
    stock,
    supply,
    transfers,
)


def add_routes(app: FastAPI, database: Database, region: str, keys: KeyRing, link: LinkOf) -> None:
    """Add every route of inventory.

    Args:
        region: the own one.
        keys: what manifests and addresses are sealed with.
        link: how a peer is reached, see `Peers.link`.
    """
    for router in (
        sites.router(database, keys, link),
        alerts.router(database),
        stock.router(database, region, link),
        supply.router(database, region, link),
        lots.router(database),
        transfers.router(database, region, link),
        accepting.router(database),
        proposing.router(database, region, link),
        shipments.router(database, region, link),
        manifests.router(database, region, keys),
        discrepancies.router(database),
        forms.router(database),
        reservations.router(database),
        check_outs.router(database),
        beds.router(database, region),
        slots.router(database, region),
        capacity.router(database, region, link),
        assets.router(database),
    ):
        take(app, router)
