"""What a restore has to know of inventory's tables."""

from typing import Final

VERSIONED: Final = ("stock_state", "capacity_state", "site")
"""Tables whose states other regions hear of, by version. (A shipment that was dispatched since is
dispatched again, by the same id and lines.)"""

TOLD: Final = (
    "inventory.capacity.changed.v1",
    "inventory.site.changed.v1",
)
"""States that no sweep tells by itself."""
