"""What is promised of messages, results and letters, broken."""

from e2e.breaks.breaking import Break

LETTER = """
    INSERT INTO dead_letter (durable, event_id, subject, headers, payload, status, reason)
    VALUES ('x', gen_random_uuid(), 'x', '{}', '', 'dead', 'poison')
"""
SENT_UNKNOWN = """
    INSERT INTO outbox (event_id, stream, subject, headers, payload, payload_hash)
    SELECT gen_random_uuid(), 'LOCAL', 'x', '{"ce-type": "notification.message.sent.v1"}',
           convert_to(format('{"message_id": "%s", "need_id": "%s", "attempt_no": 1}',
                             gen_random_uuid(), gen_random_uuid()), 'UTF8'), ''
"""
TOLD = (
    Break(
        "notification.every_message_has_an_outcome",
        "notification",
        """
        INSERT INTO message (message_id, template, need_id, attempt_no, sensitive, collect_days,
                             state, expires_at, claim_id, claimed_until)
        VALUES (gen_random_uuid(), 'need_ready', gen_random_uuid(), 1, false, 7, 'sending', now(),
                gen_random_uuid(), now() - interval '1 hour')
        """,
    ),
    Break("notification.one_message_per_effect", "notification", SENT_UNKNOWN),
    Break(
        "reporting.results_are_what_events_said",
        "reporting",
        "UPDATE service SET quantity = quantity + 1",
    ),
    Break(
        "reporting.facts_count_as_booked",
        "reporting",
        "INSERT INTO booked_fact (need_id, event_id, occurred_at) "
        "VALUES (gen_random_uuid(), gen_random_uuid(), now())",
    ),
    *(
        Break(f"{service}.no_dead_letters", service, LETTER)
        for service in ("intake", "inventory", "payments", "notification", "reporting")
    ),
)
