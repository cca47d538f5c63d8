"""What `aidmesh verify` promises, broken on purpose: one table over all its checks."""

from dataclasses import dataclass

PLANTED = "Kanarka-Ґудзик-77"


@dataclass(frozen=True)
class Break:
    """SQL behind a service's back, undone afterwards, and the checks that must notice it.

    Attributes:
        sql: may name `{some_ready}` (a need), `{erased}` (a person) and `{planted}`.
    """

    fails: str
    service: str
    sql: str
    also: tuple[str, ...] = ()
    region: str = "kyiv"

    @property
    def name(self) -> str:
        return f"{self.fails}-{self.service}"


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
LOOKED_FOR_UNASKED = """
    INSERT INTO lookup_out (id, person_id, to_region, status, asked_at, changed_at, staff_id)
    SELECT gen_random_uuid(), id, 'lviv', 'nothing', now(), now(), id FROM person
    WHERE NOT consents ? 'same_person' LIMIT 1
"""
LEFT_BEHIND = """
    WITH heard AS (
        INSERT INTO grant_terms (grant_id, grantor, terms_version, restriction, heard_at)
        VALUES (gen_random_uuid(), 'kyiv', 2, '{}', now() - interval '1 hour') RETURNING grant_id
    )
    UPDATE lot SET grant_id = heard.grant_id, terms_version = 1 FROM heard
    WHERE lot.id = (SELECT id FROM lot LIMIT 1)
"""
SOME_READY = "(SELECT id FROM need WHERE state = 'ready' AND kind = 'food_parcel' LIMIT 1)"
LETTER = """
    INSERT INTO dead_letter (durable, event_id, subject, headers, payload, status, reason)
    VALUES ('x', gen_random_uuid(), 'x', '{}', '', 'dead', 'poison')
"""
NOBODY_WAITS = """
    INSERT INTO waiting (need_id, version, attempt_no, kind, area, asked_on, resource, code,
                         quantity)
    VALUES (gen_random_uuid(), 2, 1, 'food_parcel', 'UA80', '2024-01-01', 'stock', 'x', 1)
"""
BALANCED_BUT_WRONG = """
    WITH j AS (
        INSERT INTO journal (id, kind, occurred_on, reference, reason)
        VALUES (gen_random_uuid(), 'spending', '2024-01-01', 'x', '') RETURNING id
    ), a AS (
        SELECT s.id AS spent, f.id AS available, s.currency FROM account s
        JOIN account f ON f.allotment_id = s.allotment_id AND f.code = 'available'
        WHERE s.code = 'spent' AND f.balance_minor > 0 LIMIT 1
    ), p AS (
        INSERT INTO posting (journal_id, line, account_id, currency, amount_minor)
        SELECT j.id, 1, a.spent, a.currency, 1 FROM j, a
        UNION ALL SELECT j.id, 2, a.available, a.currency, -1 FROM j, a
    )
    UPDATE account SET balance_minor = balance_minor + CASE WHEN account.id = a.spent THEN 1
                                                            ELSE -1 END
    FROM a WHERE account.id IN (a.spent, a.available)
"""
UNBALANCED_JOURNALS = """
    WITH j AS (
        INSERT INTO journal (id, kind, occurred_on, reference, reason)
        SELECT gen_random_uuid(), 'spending', '2024-01-01', 'x', '' FROM generate_series(1, 2)
        RETURNING id
    ), n AS (SELECT id, row_number() OVER () AS no FROM j)
    INSERT INTO posting (journal_id, line, account_id, currency, amount_minor)
    SELECT n.id, 1, a.id, a.currency, CASE n.no WHEN 1 THEN 5 ELSE -5 END
    FROM n, account a WHERE a.code = 'exchange' AND a.currency = 'CHF'
"""
DEMANDED = """
    INSERT INTO shortfall (id, grant_id, demanded_minor, open_minor, reason, opened_on, recorded_by)
    SELECT gen_random_uuid(), id, 5, 4, 'x', '2024-01-01', id FROM donor_grant
    LIMIT 1
"""
SET_ASIDE_OF_NOTHING = """
    WITH s AS (
        INSERT INTO shortfall (id, grant_id, demanded_minor, open_minor, reason, opened_on,
                               recorded_by)
        SELECT gen_random_uuid(), id, 5, 4, 'x', '2024-01-01', id FROM donor_grant
        LIMIT 1 RETURNING id
    )
    INSERT INTO shortfall_entry (shortfall_id, journal_id, amount_minor)
    SELECT s.id, j.id, 1 FROM s, (SELECT id FROM journal WHERE kind = 'instalment' LIMIT 1) j
"""
HELD_TOO_LONG = """
    WITH c AS (
        UPDATE commitment SET state = 'held', hold_until = now() - interval '1 hour'
        WHERE state = 'committed' AND purpose = 'payout' RETURNING allotment_id, amount_minor
    )
    UPDATE allotment a SET held_minor = held_minor + c.amount_minor,
           committed_minor = committed_minor - c.amount_minor
    FROM c WHERE a.id = c.allotment_id
"""
SENT_UNKNOWN = """
    INSERT INTO outbox (event_id, stream, subject, headers, payload, payload_hash)
    SELECT gen_random_uuid(), 'LOCAL', 'x', '{"ce-type": "notification.message.sent.v1"}',
           convert_to(format('{"message_id": "%s", "need_id": "%s", "attempt_no": 1}',
                             gen_random_uuid(), gen_random_uuid()), 'UTF8'), ''
"""
SENT_BUT_NOT_THERE = """
    INSERT INTO outbox (event_id, stream, subject, headers, payload, payload_hash, status,
                        ack_seq, acked_at)
    SELECT gen_random_uuid(), stream, subject, '{}', '', '', 'acked', 1, now()
    FROM outbox WHERE stream = 'LOCAL' AND status = 'acked' LIMIT 1
"""
SHIPMENT = """
    WITH s AS (
        INSERT INTO shipment (id, from_region, to_region, from_site_id, to_site_id, sent, state,
                              version, dispatched_on)
        VALUES (gen_random_uuid(), 'kyiv', 'lviv', gen_random_uuid(), gen_random_uuid(),
                '{sent}', '{state}', 1, {on}) RETURNING id
    )
    INSERT INTO shipment_line (shipment_id, line_id, lot_id, item, quantity, unit_value_minor,
                               currency, good, damaged, short, surplus, counted_on)
    SELECT s.id, gen_random_uuid(), {lot}, 'food_parcel', 3, 0, 'UAH', {counts} FROM s
"""


def _shipment(sent: str, state: str, *, lot: bool = False, counted: bool = False) -> str:
    """A shipment that came from nowhere."""
    return (
        SHIPMENT.replace("{sent}", sent)
        .replace("{state}", state)
        .replace("{on}", "'2024-01-01'" if sent == "dispatched" else "NULL")
        .replace("{lot}", "(SELECT id FROM lot LIMIT 1)" if lot else "NULL::uuid")
        .replace(
            "{counts}",
            "3, 0, 0, 0, date '2024-01-01'" if counted else "NULL, NULL, NULL, NULL, NULL",
        )
    )


BREAKS = (
    Break(
        "intake.no_need_overdue",
        "intake",
        """
        WITH n AS (
            UPDATE need SET state = 'held', deadline_at = now() - interval '1 hour'
            WHERE id = {some_ready} RETURNING id
        )
        UPDATE need_event e SET state = 'held' FROM n WHERE e.need_id = n.id
        """,
    ),
    Break(
        "intake.timelines_complete",
        "intake",
        "UPDATE need_event SET state = 'held' WHERE need_id = {some_ready}",
    ),
    Break(
        "intake.offers_by_rule",
        "intake",
        """
        WITH rule AS (
            INSERT INTO refer_rule (id, kind, open_max, hours, set_at, set_by)
            VALUES (gen_random_uuid(), 'counseling', 1, 1, now(), gen_random_uuid())
            RETURNING id, set_by
        )
        INSERT INTO referral_out (id, need_id, to_region, status, lapses_at, offered_at,
                                  changed_at, staff_id, rule_id)
        SELECT gen_random_uuid(), {some_ready}, 'lviv', 'lapsed', now(), now(), now(), set_by, id
        FROM rule
        """,
    ),
    Break(
        "intake.offers_over_say_nothing",
        "intake",
        """
        WITH offer AS (
            INSERT INTO referral_out (id, need_id, to_region, status, lapses_at, offered_at,
                                      changed_at, staff_id)
            VALUES (gen_random_uuid(), {some_ready}, 'lviv', 'lapsed', now(), now(), now(),
                    gen_random_uuid())
            RETURNING id
        )
        INSERT INTO handoff (event_id, to_region, subject, headers, payload, payload_hash,
                             awaits_answer, status)
        SELECT gen_random_uuid(), 'lviv', 'x',
               jsonb_build_object('ce-subject', id, 'ce-type', 'intake.referral.offered.v1'),
               '', '', true, 'withdrawn'
        FROM offer
        """,
    ),
    Break("intake.erased_stay_erased", "intake", "DELETE FROM erased_person"),
    Break("intake.links_are_of_those_who_agree", "intake", LOOKED_FOR_UNASKED),
    Break(
        "inventory.stock_conserved",
        "inventory",
        "UPDATE movement SET quantity = quantity + 1 WHERE kind = 'receipt'",
    ),
    Break(
        "inventory.stock_held_by_reservations",
        "inventory",
        "UPDATE allocation SET quantity = quantity + 1 WHERE reservation_id IN "
        "(SELECT id FROM reservation WHERE state = 'confirmed')",
    ),
    Break(
        "inventory.stock_issued_by_reservations",
        "inventory",
        "UPDATE allocation SET quantity = quantity + 1 WHERE reservation_id IN "
        "(SELECT id FROM reservation WHERE state = 'issued')",
    ),
    Break(
        "inventory.stock_issued_by_reservations",
        "inventory",
        "UPDATE movement SET lot_id = gen_random_uuid() WHERE kind = 'issue'",
        also=("inventory.stock_conserved",),
    ),
    Break(
        "inventory.stock_told_right",
        "inventory",
        "UPDATE stock_state SET free = free - 1 WHERE free > 0",
    ),
    Break("inventory.stock_told_right", "inventory", "DELETE FROM stock_state"),
    Break("inventory.lots_follow_their_grants", "inventory", LEFT_BEHIND),
    Break(
        "inventory.moves_add_up",
        "inventory",
        """
        UPDATE movement SET kind = 'move', move_id = gen_random_uuid()
        WHERE id = (SELECT m.id FROM movement m JOIN receipt r ON r.id = m.receipt_id
                    WHERE m.kind = 'receipt' AND r.shipment_id IS NULL LIMIT 1)
        """,
    ),
    Break(
        "inventory.no_bed_double_booked",
        "inventory",
        "UPDATE bed_booking SET live = false, bed_id = (SELECT min(bed_id::text)::uuid "
        "FROM bed_booking)",
    ),
    Break(
        "inventory.slot_seats_counted",
        "inventory",
        "UPDATE slot SET taken = taken - 1 WHERE taken > 0",
    ),
    Break(
        "inventory.holds_expire",
        "inventory",
        "UPDATE reservation SET state = 'held', hold_until = now() - interval '1 hour' "
        "WHERE state = 'confirmed'",
        also=("ready_needs_have_their_aid",),
    ),
    Break(
        "inventory.shipments_left_stock",
        "inventory",
        _shipment("dispatched", "dispatched", lot=True),
        also=("mesh.shipments_match",),
    ),
    Break(
        "inventory.shipments_came_in",
        "inventory",
        _shipment("dispatched", "received", counted=True),
        also=("mesh.shipments_match",),
    ),
    Break(
        "inventory.shipments_add_up",
        "inventory",
        _shipment("preparing", "dispatched"),
        also=("mesh.shipments_match",),
    ),
    Break(
        "inventory.asked_by_rule",
        "inventory",
        """
        WITH rule AS (
            INSERT INTO ask_rule (id, item, to_site_id, open_max, sensitive_too, set_at, set_by)
            SELECT gen_random_uuid(), 'food_parcel', id, 4, false, now(), gen_random_uuid()
            FROM site LIMIT 1 RETURNING id, to_site_id
        )
        INSERT INTO transfer (id, from_region, to_region, item, quantity, to_site_id, area, reason,
                              asked_at, ask_rule_id)
        SELECT gen_random_uuid(), 'lviv', 'kyiv', 'food_parcel', 5, to_site_id, 'UA80',
               'waiting_needs', now(), id FROM rule
        """,
    ),
    Break(
        "inventory.accepted_by_rule",
        "inventory",
        """
        WITH rule AS (
            INSERT INTO accept_rule (id, keep_pieces, keep_days, ask_max, week_max, set_at, set_by)
            VALUES (gen_random_uuid(), 0, 0, 4, 4, now(), gen_random_uuid()) RETURNING id
        )
        INSERT INTO transfer (id, from_region, to_region, item, quantity, to_site_id, area, reason,
                              state, accepted, asked_at, answered_at, by_rule, accept_rule_id)
        SELECT gen_random_uuid(), 'kyiv', 'lviv', 'food_parcel', 5, gen_random_uuid(), 'UA46',
               'waiting_needs', 'accepted', 5, now(), now(), true, id FROM rule
        """,
    ),
    Break(
        "payments.ledger_balances",
        "payments",
        "UPDATE account SET balance_minor = 1 WHERE code = 'exchange' AND currency = 'CHF'",
        also=("payments.accounts_agree_with_postings",),
    ),
    Break("payments.journals_balance", "payments", UNBALANCED_JOURNALS),
    Break(
        "payments.accounts_agree_with_postings",
        "payments",
        """
        WITH one AS (
            UPDATE account SET balance_minor = balance_minor + 1
            WHERE code = 'exchange' AND currency = 'UAH'
        )
        UPDATE account SET balance_minor = balance_minor - 1
        WHERE id = (SELECT id FROM account WHERE code = 'granted' AND currency = 'UAH' LIMIT 1)
        """,
    ),
    Break(
        "payments.grantor_equation",
        "payments",
        "UPDATE donor_grant SET unallotted_minor = unallotted_minor - 1, "
        "exchange_difference_minor = exchange_difference_minor + 1 WHERE unallotted_minor > 0",
    ),
    Break(
        "payments.grantor_equation",
        "payments",
        "UPDATE journal SET kind = 'exchange_difference' WHERE kind = 'instalment'",
    ),
    Break(
        "payments.instalments_are_what_was_received",
        "payments",
        "UPDATE instalment SET received_minor = received_minor + 1",
    ),
    Break("payments.demands_are_accounted_for", "payments", DEMANDED),
    Break("payments.demands_are_accounted_for", "payments", SET_ASIDE_OF_NOTHING),
    Break(
        "payments.demands_are_accounted_for",
        "payments",
        "INSERT INTO demand_withdrawal (id, grant_id, amount_minor, reason, withdrawn_on, "
        "withdrawn_by) SELECT gen_random_uuid(), id, 5, 'x', '2024-01-01', id FROM donor_grant",
    ),
    Break(
        "payments.allotted_is_sent_less_returned",
        "payments",
        "UPDATE budget_line SET allotted_minor = allotted_minor + 1",
    ),
    Break(
        "payments.granted_is_transferred",
        "payments",
        "UPDATE grant_allotment SET amount_minor = amount_minor + 1",
    ),
    Break(
        "payments.granted_is_transferred",
        "payments",
        "UPDATE journal SET reference = 'lost' WHERE kind = 'return_received'",
    ),
    Break(
        "payments.holder_equation",
        "payments",
        "UPDATE commitment SET amount_minor = amount_minor + 1000000000 WHERE state = 'spent'",
        also=("payments.allotments_agree_with_commitments",),
    ),
    Break(
        "payments.allotments_agree_with_transfers",
        "payments",
        "UPDATE transfer SET amount_minor = amount_minor + 1 WHERE kind = 'allotment'",
        also=("mesh.transfers_match",),
        region="lviv",
    ),
    Break(
        "payments.allotments_agree_with_commitments",
        "payments",
        "UPDATE allotment SET committed_minor = committed_minor - 1 WHERE committed_minor > 0",
    ),
    Break("payments.ledger_agrees_with_allotments", "payments", BALANCED_BUT_WRONG),
    Break(
        "payments.rebalancings_are_transfers",
        "payments",
        "UPDATE rebalancing SET sending_id = gen_random_uuid() WHERE state = 'moved'",
    ),
    Break(
        "payments.rebalancings_are_transfers",
        "payments",
        "UPDATE return_ask SET prepared_minor = prepared_minor - 1 WHERE state = 'returned'",
        also=("mesh.rebalancings_match",),
        region="lviv",
    ),
    Break(
        "payments.no_need_paid_twice",
        "payments",
        "UPDATE payout SET state = 'accepted' WHERE state = 'settled'",
    ),
    Break(
        "payments.holds_expire",
        "payments",
        HELD_TOO_LONG,
        also=("ready_needs_have_their_aid",),
    ),
    Break(
        "payments.payouts_go_as_was_said",
        "payments",
        "UPDATE payout p SET mechanism = NULL FROM payee WHERE payee.payee_ref = p.payee_ref",
    ),
    Break(
        "payments.erased_payees_stay_erased",
        "payments",
        "WITH gone AS (INSERT INTO erased_need (need_id, erased_at) VALUES (gen_random_uuid(), "
        "now() - interval '1 hour') RETURNING need_id) "
        "INSERT INTO payee (payee_ref, need_id, sealed) SELECT need_id, need_id, '' FROM gone",
    ),
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
    Break("mesh.shipments_match", "inventory", _shipment("preparing", "preparing", lot=True)),
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
