"""What is set aside and what does not fit the books, for Prometheus."""

from typing import Final

from aidmesh_chassis.metrics import Measured, MetricSpec

MEASURED: Final = (
    Measured(
        MetricSpec(
            "aidmesh_reservations",
            "gauge",
            "Goods and places set aside: held (by minutes) and confirmed (until collected).",
            ("state",),
        ),
        """
        SELECT state, count(r.id) FROM unnest(ARRAY['held', 'confirmed']) AS live (state)
        LEFT JOIN reservation r USING (state) GROUP BY state
        """,
    ),
    Measured(
        MetricSpec(
            "aidmesh_reservations_overdue",
            "gauge",
            "Holds whose time is over and that still hold: if they stay, no sweep runs.",
        ),
        "SELECT count(*) FROM reservation WHERE state = 'held' AND hold_until < now()",
    ),
    Measured(
        MetricSpec(
            "aidmesh_stock_discrepancies_open",
            "gauge",
            "Facts that don't fit the books of stock and places; a person settles each.",
        ),
        "SELECT count(*) FROM discrepancy WHERE status = 'open'",
    ),
    Measured(
        MetricSpec(
            "aidmesh_stock_discrepancies_open_age_seconds",
            "gauge",
            "Age of the oldest of these; alert on it.",
        ),
        """
        SELECT coalesce(extract(epoch FROM now() - min(opened_at)), 0)
        FROM discrepancy WHERE status = 'open'
        """,
    ),
    Measured(
        MetricSpec(
            "aidmesh_shipments_open",
            "gauge",
            "Shipments to and from this region that are not taken in whole, by state.",
            ("state",),
        ),
        """
        SELECT state, count(s.id)
        FROM unnest(ARRAY['preparing', 'dispatched', 'receiving']) AS open (state)
        LEFT JOIN shipment s USING (state) GROUP BY state
        """,
    ),
)
