"""Every event there is, by its type."""

from collections.abc import Mapping
from types import MappingProxyType

from aidmesh_contracts import (
    intake,
    intake_links,
    intake_referrals,
    inventory,
    inventory_shipments,
    notification,
    payments,
    payments_grants,
    payments_rebalancing,
    payments_regions,
    payments_waits,
    reporting,
)
from aidmesh_contracts.base import Event

ALL: tuple[type[Event], ...] = (
    *intake.EVENTS,
    *intake_links.EVENTS,
    *intake_referrals.EVENTS,
    *inventory.EVENTS,
    *inventory_shipments.EVENTS,
    *payments.EVENTS,
    *payments_grants.EVENTS,
    *payments_rebalancing.EVENTS,
    *payments_regions.EVENTS,
    *payments_waits.EVENTS,
    *notification.EVENTS,
    *reporting.EVENTS,
)

REGISTRY: Mapping[str, type[Event]] = MappingProxyType({event.type: event for event in ALL})
