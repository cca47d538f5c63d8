"""What no service promises alone, broken in one of them."""

from e2e.breaks.breaking import Break
from e2e.breaks.inventory import shipment

REFERRED_TO_NOBODY = """
    INSERT INTO referral_out (id, need_id, to_region, status, lapses_at, offered_at, changed_at,
                              staff_id)
    SELECT gen_random_uuid(), id, 'lviv', 'confirmed', now(), now(), now(), gen_random_uuid()
    FROM need WHERE state = 'ready' LIMIT 1
"""
LINKED_TO_NOBODY = """
    INSERT INTO person_link (id, region, found_at, changed_at)
    VALUES (gen_random_uuid(), 'lviv', now(), now())
"""
NOBODY_WAITS = """
    INSERT INTO waiting (need_id, version, attempt_no, kind, area, asked_on, resource, code,
                         quantity)
    VALUES (gen_random_uuid(), 2, 1, 'food_parcel', 'UA80', '2024-01-01', 'stock', 'x', 1)
"""
SENT_BUT_NOT_THERE = """
    INSERT INTO outbox (event_id, stream, subject, headers, payload, payload_hash, status,
                        ack_seq, acked_at)
    SELECT gen_random_uuid(), stream, subject, '{}', '', '', 'acked', 1, now()
    FROM outbox WHERE stream = 'LOCAL' AND status = 'acked' LIMIT 1
"""
AGREEMENT = (
    Break(
        "holds_belong_to_live_attempts",
        "intake",
        """
        WITH n AS (UPDATE need SET state = 'cancelled' WHERE id = {some_ready} RETURNING id)
        UPDATE need_event e SET state = 'cancelled' FROM n WHERE e.need_id = n.id
        """,
    ),
    Break(
        "ready_needs_have_their_aid",
        "intake",
        "UPDATE need SET attempt_no = attempt_no + 1 WHERE id = {some_ready}",
        also=("holds_belong_to_live_attempts",),
    ),
    Break(
        "services_agree",
        "intake",
        "UPDATE need SET issued_attempt = issued_attempt + 1 WHERE state = 'fulfilled'",
    ),
    Break(
        "facts_are_booked",
        "intake",
        "UPDATE need SET given = true WHERE state = 'fulfilled' AND kind = 'food_parcel'",
    ),
    Break(
        "results_agree",
        "intake",
        "UPDATE need SET service_no = service_no + 1 WHERE state = 'fulfilled'",
    ),
    Break(
        "results_agree",
        "intake",
        "UPDATE need SET person_id = gen_random_uuid() WHERE state = 'fulfilled'",
    ),
    Break("results_agree", "reporting", "DELETE FROM same_person"),
    Break("waiting_agrees", "reporting", NOBODY_WAITS),
    Break(
        "waiting_totals_agree",
        "inventory",
        """
        INSERT INTO waiting (key, item, sensitive, needs, quantity, version, as_of)
        VALUES ('x', 'x', false, 1, 1, 1, now())
        """,
    ),
    Break(
        "waiting_totals_agree",
        "payments",
        """
        INSERT INTO waiting_money (key, programme, currency, sensitive, chosen, amount_minor,
                                   version)
        VALUES ('x', 'x', 'UAH', false, false, 1, 1)
        """,
    ),
    Break(
        "erased_everywhere",
        "notification",
        "INSERT INTO contact (person_id, version, sealed) VALUES ('{erased}', 1, '') "
        "ON CONFLICT (person_id) DO UPDATE SET sealed = '', erased_at = NULL",
    ),
    Break(
        "mesh.handoffs_arrived",
        "payments",
        """
        INSERT INTO handoff (event_id, to_region, subject, headers, payload_hash, awaits_answer,
                             status, settled_at)
        VALUES (gen_random_uuid(), 'lviv', 'x', '{}', '', true, 'settled', now())
        """,
    ),
    Break(
        "mesh.payouts_agree",
        "payments",
        "UPDATE payout SET assigned_to = 'lviv' WHERE state = 'settled'",
    ),
    Break(
        "mesh.reissues_agree",
        "payments",
        """
        INSERT INTO taken_back (allotment_id, epoch, amount_minor, owed_minor)
        SELECT id, 1, 5, 5 FROM allotment WHERE grantor = 'kyiv' LIMIT 1
        """,
        region="lviv",
    ),
    Break(
        "mesh.transfers_match",
        "payments",
        "UPDATE transfer SET state = 'in_transit' WHERE kind = 'return' AND to_region = 'kyiv'",
    ),
    Break(
        "mesh.transfers_match",
        "payments",
        "UPDATE transfer SET state = 'in_transit' WHERE kind = 'return'",
        region="lviv",
    ),
    Break("mesh.rebalancings_match", "payments", "DELETE FROM return_ask", region="lviv"),
    Break("mesh.referrals_match", "intake", REFERRED_TO_NOBODY),
    Break("mesh.links_agree", "intake", LINKED_TO_NOBODY),
    Break("mesh.shipments_match", "inventory", shipment("preparing", "preparing", lot=True)),
    Break("sent_events_are_in_their_streams", "intake", SENT_BUT_NOT_THERE),
    Break(
        "every_event_was_taken_in",
        "inventory",
        "DELETE FROM inbox WHERE event_id = (SELECT min(event_id::text)::uuid FROM inbox)",
    ),
    Break(
        "no_personal_data_in_tables",
        "inventory",
        "UPDATE site SET name = 'for {planted}'",
    ),
    Break(
        "no_personal_data_in_tables",
        "payments",
        "UPDATE allotment_elsewhere SET holder = '{planted}'",
    ),
    Break(
        "no_personal_data_in_tables",
        "intake",
        "UPDATE kind SET body = body || jsonb_build_object('note', '{planted}')",
    ),
    Break(
        "no_personal_data_in_tables",
        "reporting",
        "UPDATE fact_event SET payload = payload || convert_to(' ', 'UTF8'), "
        "type = '{planted}' WHERE type = 'intake.need.closed.v1'",
    ),
)
