"""How many needs stand where, for Prometheus. No kind, no item: few could be told apart by it."""

from typing import Final

from aidmesh_chassis.metrics import Measured, MetricSpec

MEASURED: Final = (
    Measured(
        MetricSpec(
            "aidmesh_needs",
            "gauge",
            "Needs that are not over, by state.",
            ("state",),
        ),
        """
        SELECT state, count(need.id)
        FROM unnest(ARRAY['requested', 'approved', 'held', 'ready', 'waitlisted']) AS open (state)
        LEFT JOIN need USING (state) GROUP BY state
        """,
    ),
    Measured(
        MetricSpec(
            "aidmesh_waitlist_needs",
            "gauge",
            "Needs that wait, by what they wait for: stock, bed, slot or money.",
            ("resource",),
        ),
        """
        SELECT resource, count(need.id)
        FROM unnest(ARRAY['stock', 'bed', 'slot', 'money']) AS short (resource)
        LEFT JOIN need ON need.state = 'waitlisted' AND need.blocked_resource = resource
        GROUP BY resource
        """,
    ),
    Measured(
        MetricSpec(
            "aidmesh_needs_untold",
            "gauge",
            "Needs that are ready while the person does not know yet: tell them in person.",
        ),
        "SELECT count(*) FROM need WHERE state = 'ready' AND told_at IS NULL",
    ),
    Measured(
        MetricSpec(
            "aidmesh_needs_untold_age_seconds",
            "gauge",
            "For how long the oldest of these has stood so; alert on it.",
        ),
        """
        SELECT coalesce(extract(epoch FROM now() - min(changed_at)), 0)
        FROM need WHERE state = 'ready' AND told_at IS NULL
        """,
    ),
)
