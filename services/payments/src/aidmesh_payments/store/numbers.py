"""Money by what it stands for, for Prometheus. In minor units; sums of all grants."""

from typing import Final

from aidmesh_chassis.metrics import Measured, MetricSpec

_WAITED_FOR: Final = """
    state = 'in_transit' AND NOT EXISTS (
        SELECT FROM region_standing s WHERE s.region = to_region AND s.standing = 'lost')
"""
"""While the other side is held for lost nothing it says of a transfer counts: it can't be credited,
and what is still waited for must be seen beside it. Once that region is back it counts again."""

MEASURED: Final = (
    Measured(
        MetricSpec(
            "aidmesh_allotments_minor",
            "gauge",
            "Money of this region's active allotments: free, held, committed or spent, in minor "
            "units of the currency.",
            ("currency", "part"),
        ),
        """
        SELECT currency, part, sum(minor) FROM allotment, LATERAL (VALUES
            ('free', received_minor - returned_minor - held_minor - committed_minor - spent_minor),
            ('held', held_minor), ('committed', committed_minor), ('spent', spent_minor)
        ) AS parts (part, minor)
        WHERE status = 'active' GROUP BY currency, part
        """,
    ),
    Measured(
        MetricSpec(
            "aidmesh_money_holds_overdue",
            "gauge",
            "Holds of money whose time is over and that still hold: if they stay, no sweep runs.",
        ),
        "SELECT count(*) FROM commitment WHERE state = 'held' AND hold_until < now()",
    ),
    Measured(
        MetricSpec(
            "aidmesh_payouts",
            "gauge",
            "Payouts that are not over, by state.",
            ("state",),
        ),
        """
        SELECT state, count(p.id)
        FROM unnest(ARRAY['draft', 'approved', 'exported', 'accepted', 'rejected']) AS open (state)
        LEFT JOIN payout p USING (state) GROUP BY state
        """,
    ),
    Measured(
        MetricSpec(
            "aidmesh_money_discrepancies_open",
            "gauge",
            "Facts that don't fit the books of money; a person settles each.",
        ),
        "SELECT count(*) FROM discrepancy WHERE settled_at IS NULL",
    ),
    Measured(
        MetricSpec(
            "aidmesh_money_discrepancies_open_age_seconds",
            "gauge",
            "Age of the oldest of these; alert on it.",
        ),
        """
        SELECT coalesce(extract(epoch FROM now() - min(opened_at)), 0)
        FROM discrepancy WHERE settled_at IS NULL
        """,
    ),
    Measured(
        MetricSpec(
            "aidmesh_transfers_in_transit",
            "gauge",
            "Transfers of money that the region they go to has not credited, and is not held for "
            "lost.",
        ),
        f"SELECT count(*) FROM transfer WHERE {_WAITED_FOR}",  # noqa: S608 - our own words
    ),
    Measured(
        MetricSpec(
            "aidmesh_transfers_in_transit_age_seconds",
            "gauge",
            "Age of the oldest of these; alert on it.",
        ),
        f"""
        SELECT coalesce(extract(epoch FROM now() - min(recorded_at)), 0)
        FROM transfer WHERE {_WAITED_FOR}
        """,  # noqa: S608 - our own words
    ),
)
