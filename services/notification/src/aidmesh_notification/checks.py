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
        "of every attempt of a need a person was told once, by the message that says it was sent",
        """
        WITH told AS (
            SELECT (body ->> 'message_id')::uuid AS message_id,
                   (body ->> 'need_id')::uuid AS need_id, (body ->> 'attempt_no')::int AS attempt_no
            FROM (SELECT convert_from(payload, 'UTF8')::jsonb AS body FROM outbox
                  WHERE headers ->> 'ce-type' = 'notification.message.sent.v1') sent
        )
        SELECT format('need %s attempt %s: told %s times', need_id, attempt_no, count(*)) FROM told
        GROUP BY need_id, attempt_no HAVING count(*) > 1
        UNION ALL
        SELECT format('message %s is %s, said to be sent: %s', message_id,
                      COALESCE(m.state, 'unknown here'), t.message_id IS NOT NULL)
        FROM (SELECT DISTINCT message_id FROM told) t
        FULL JOIN (SELECT message_id, state, sent_at FROM message WHERE need_id IS NOT NULL) m
             USING (message_id)
        -- What came back undelivered is `failed`, and was sent all the same.
        WHERE (t.message_id IS NOT NULL) <> (m.sent_at IS NOT NULL)
        """,
    ),
)
