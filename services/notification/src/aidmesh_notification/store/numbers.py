"""Messages on their way and those that did not go out, for Prometheus."""

from typing import Final

from aidmesh_chassis.metrics import Measured, MetricSpec
from aidmesh_notification.domain.outages import FORGOTTEN

MEASURED: Final = (
    Measured(
        MetricSpec(
            "aidmesh_messages",
            "gauge",
            "Messages queued or being sent, and those of which nobody knows whether they went out "
            "and whose people nobody has told yet.",
            ("state",),
        ),
        """
        SELECT 'queued', count(*) FROM message WHERE state = 'queued'
        UNION ALL SELECT 'sending', count(*) FROM message WHERE state = 'sending'
        UNION ALL
        SELECT 'unknown', count(*) FROM message WHERE state = 'unknown' AND settled_at IS NULL
        """,
    ),
    Measured(
        MetricSpec(
            "aidmesh_channel_away_seconds",
            "gauge",
            "How long a channel that messages wait for has taken none; alert on it.",
            ("channel",),
        ),
        # What nobody looked at for so long, nothing waits for.
        f"""
        SELECT channel, extract(epoch FROM now() - since) FROM channel_outage
        WHERE look_at > now() - interval '{FORGOTTEN.total_seconds():.0f} seconds'
        """,  # noqa: S608 - a constant
    ),
)
