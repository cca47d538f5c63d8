"""What must hold in notification's books; `aidmesh verify` runs it."""

from aidmesh_chassis.checks import Check

CHECKS = (
    Check(
        "every_message_has_an_outcome",
        "no message stays in `sending` beyond its claim",
        """
        SELECT format('message %s claimed until %s', message_id, claimed_until) FROM message
        WHERE state = 'sending' AND claimed_until < now() - interval '60 seconds'
        """,
    ),
    Check(
        "one_message_per_effect",
        "a template speaks of one attempt of a need at most once",
        """
        SELECT format('need %s attempt %s %s: %s messages', need_id, attempt_no, template, count(*))
        FROM message WHERE need_id IS NOT NULL
        GROUP BY need_id, attempt_no, template HAVING count(*) > 1
        """,
    ),
)
