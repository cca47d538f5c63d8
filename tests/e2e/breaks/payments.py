"""What payments' checks promise, broken."""

from e2e.breaks.breaking import Break

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
PAYMENTS = (
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
)
