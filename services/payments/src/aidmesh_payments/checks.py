"""What must hold in payments' books; `aidmesh verify` runs it."""

from aidmesh_chassis.checks import Check

CHECKS = (
    Check(
        "ledger_balances",
        "all balances sum to zero in every currency",
        """
        SELECT format('%s: %s', currency, sum(balance_minor)) FROM account
        GROUP BY currency HAVING sum(balance_minor) <> 0
        """,
    ),
    Check(
        "journals_balance",
        "the postings of every journal sum to zero in every currency",
        """
        SELECT format('journal %s, %s: %s', journal_id, currency, sum(amount_minor)) FROM posting
        GROUP BY journal_id, currency HAVING sum(amount_minor) <> 0
        """,
    ),
    Check(
        "accounts_agree_with_postings",
        "the balance of every account is the sum of its postings",
        """
        SELECT format('account %s %s: balance %s, postings %s', a.code, a.id, a.balance_minor,
                      COALESCE(p.total, 0))
        FROM account a
        LEFT JOIN (SELECT account_id, sum(amount_minor) AS total FROM posting GROUP BY 1) p
               ON p.account_id = a.id
        WHERE a.balance_minor <> COALESCE(p.total, 0)
        """,
    ),
    Check(
        "grantor_equation",
        "received = unallotted + allotted + exchange difference + refunds, as booked in the ledger",
        """
        SELECT format('grant %s: received %s/%s unallotted %s/%s allotted %s/%s exchange '
                      'difference %s/%s refund due %s/%s refunded %s/%s', g.code,
                      g.received_minor, b.received, g.unallotted_minor, b.unallotted,
                      g.allotted_minor, b.allotted, g.exchange_difference_minor, b.difference,
                      g.refund_due_minor, b.due, g.refunded_minor, b.refunded)
        FROM donor_grant g
        CROSS JOIN LATERAL (
            SELECT COALESCE(sum(p.amount_minor) FILTER (
                       WHERE a.code = 'unallotted'
                         AND j.kind IN ('instalment', 'instalment_reversed')), 0) AS received,
                   COALESCE(sum(p.amount_minor) FILTER (
                       WHERE a.code = 'unallotted'), 0) AS unallotted,
                   COALESCE(-sum(p.amount_minor) FILTER (
                       WHERE a.code IN ('unallotted', 'exchange_difference')
                         AND j.kind IN ('allotment_sent', 'return_received')), 0) AS allotted,
                   COALESCE(sum(p.amount_minor) FILTER (
                       WHERE a.code = 'exchange_difference'), 0) AS difference,
                   COALESCE(sum(p.amount_minor) FILTER (WHERE a.code = 'refund_due'), 0) AS due,
                   COALESCE(-sum(p.amount_minor) FILTER (
                       WHERE a.code = 'refund_due'
                         AND j.kind IN ('refund', 'refund_reversed')), 0) AS refunded
            FROM account a
            JOIN posting p ON p.account_id = a.id
            JOIN journal j ON j.id = p.journal_id
            WHERE a.grant_id = g.id AND a.currency = g.currency
        ) b
        WHERE (g.received_minor, g.unallotted_minor, g.allotted_minor,
               g.exchange_difference_minor, g.refund_due_minor, g.refunded_minor)
              <> (b.received, b.unallotted, b.allotted, b.difference, b.due, b.refunded)
           OR b.received <> b.unallotted + b.allotted + b.difference + b.due + b.refunded
        """,
    ),
    Check(
        "instalments_are_what_was_received",
        "what a grant received is the sum of its instalments",
        """
        SELECT format('grant %s: received %s, instalments %s', g.code, g.received_minor,
                      COALESCE(i.total, 0))
        FROM donor_grant g
        LEFT JOIN (SELECT grant_id, sum(received_minor) AS total FROM instalment
                   WHERE state = 'received' GROUP BY 1) i ON i.grant_id = g.id
        WHERE g.received_minor <> COALESCE(i.total, 0)
        """,
    ),
    Check(
        "demands_are_accounted_for",
        "what a donor demanded is what is open, was set aside by a journal, or was withdrawn",
        """
        SELECT format('shortfall %s: demanded %s, open %s, set aside or withdrawn %s', s.id,
                      s.demanded_minor, s.open_minor,
                      s.unrecorded_minor + COALESCE(e.total, 0))
        FROM shortfall s
        LEFT JOIN (SELECT shortfall_id, sum(amount_minor) AS total FROM shortfall_entry
                   GROUP BY 1) e ON e.shortfall_id = s.id
        WHERE s.demanded_minor <> s.open_minor + s.unrecorded_minor + COALESCE(e.total, 0)
        UNION ALL
        SELECT format('journal %s: set aside %s, of demands %s', e.journal_id,
                      COALESCE(b.total, 0), e.total)
        FROM (SELECT journal_id, sum(amount_minor) AS total FROM shortfall_entry
              WHERE journal_id IS NOT NULL GROUP BY 1) e
        LEFT JOIN (SELECT p.journal_id, sum(p.amount_minor) AS total
                   FROM posting p JOIN account a ON a.id = p.account_id
                   WHERE a.code = 'refund_due' GROUP BY 1) b ON b.journal_id = e.journal_id
        WHERE e.total <> COALESCE(b.total, 0)
        UNION ALL
        SELECT format('withdrawal %s: %s, of demands %s, set free %s', w.id, w.amount_minor,
                      COALESCE(e.total, 0), COALESCE(b.total, 0))
        FROM demand_withdrawal w
        LEFT JOIN (SELECT withdrawal_id, sum(amount_minor) AS total FROM shortfall_entry
                   GROUP BY 1) e ON e.withdrawal_id = w.id
        LEFT JOIN (SELECT p.journal_id, -sum(p.amount_minor) AS total
                   FROM posting p JOIN account a ON a.id = p.account_id
                   WHERE a.code = 'refund_due' GROUP BY 1) b ON b.journal_id = w.journal_id
        WHERE w.amount_minor <> COALESCE(e.total, 0) + COALESCE(b.total, 0)
        """,
    ),
    Check(
        "allotted_is_sent_less_returned",
        "what a grant and its budget lines count as allotted is what was sent less what came back",
        """
        SELECT format('grant %s line %s: allotted %s, sent less returned %s', g.code, l.code,
                      l.allotted_minor, COALESCE(a.total, 0))
        FROM budget_line l
        JOIN donor_grant g ON g.id = l.grant_id
        LEFT JOIN (SELECT grant_id, budget_line,
                          sum(granted_minor - returned_granted_minor) AS total
                   FROM grant_allotment GROUP BY 1, 2) a
               ON a.grant_id = l.grant_id AND a.budget_line = l.code
        WHERE l.allotted_minor <> COALESCE(a.total, 0)
        UNION ALL
        SELECT format('grant %s: allotted %s, its lines %s', g.code, g.allotted_minor,
                      COALESCE(l.total, 0))
        FROM donor_grant g
        LEFT JOIN (SELECT grant_id, sum(allotted_minor) AS total FROM budget_line GROUP BY 1) l
               ON l.grant_id = g.id
        WHERE g.allotted_minor <> COALESCE(l.total, 0)
        """,
    ),
    Check(
        "granted_is_transferred",
        "what the grantor remembers of an allotment is what its transfers and returns say",
        """
        SELECT format('allotment %s: sent %s/%s granted %s/%s returned %s/%s of which granted '
                      '%s/%s', a.id, a.amount_minor, COALESCE(t.sent, 0), a.granted_minor,
                      COALESCE(t.granted, 0), a.returned_minor, COALESCE(t.returned, 0),
                      a.returned_granted_minor, COALESCE(t.booked, 0))
        FROM grant_allotment a
        LEFT JOIN (
            SELECT t.allotment_id,
                   COALESCE(sum(t.amount_minor) FILTER (WHERE t.kind = 'allotment'), 0) AS sent,
                   COALESCE(sum(t.granted_minor) FILTER (WHERE t.kind = 'allotment'), 0)
                       AS granted,
                   COALESCE(sum(t.amount_minor) FILTER (WHERE t.kind = 'return'), 0) AS returned,
                   COALESCE(sum(b.booked), 0) AS booked
            FROM transfer t
            LEFT JOIN (
                SELECT j.reference, sum(p.amount_minor) AS booked
                FROM journal j
                JOIN posting p ON p.journal_id = j.id
                JOIN account c ON c.id = p.account_id
                WHERE j.kind = 'return_received'
                  AND c.code IN ('unallotted', 'exchange_difference')
                GROUP BY 1
            ) b ON b.reference = t.id::text
            GROUP BY 1
        ) t ON t.allotment_id = a.id
        WHERE (a.amount_minor, a.granted_minor, a.returned_minor, a.returned_granted_minor)
              <> (COALESCE(t.sent, 0), COALESCE(t.granted, 0), COALESCE(t.returned, 0),
                  COALESCE(t.booked, 0))
        """,
    ),
    Check(
        "holder_equation",
        "what is held, committed and spent of an allotment is at most what came less what went "
        "back",
        """
        SELECT format('allotment %s: taken %s, received %s, returned %s', a.id, c.taken,
                      COALESCE(t.received, 0), COALESCE(t.returned, 0))
        FROM allotment a
        JOIN (SELECT allotment_id, sum(amount_minor) AS taken FROM commitment
              WHERE state IN ('held', 'committed', 'spent') GROUP BY 1) c
          ON c.allotment_id = a.id
        LEFT JOIN (
            SELECT allotment_id,
                   sum(amount_minor) FILTER (WHERE kind = 'allotment' AND state = 'received')
                       AS received,
                   sum(amount_minor) FILTER (WHERE kind = 'return') AS returned
            FROM transfer GROUP BY 1
        ) t ON t.allotment_id = a.id
        WHERE c.taken > COALESCE(t.received, 0) - COALESCE(t.returned, 0)
        """,
    ),
    Check(
        "allotments_agree_with_transfers",
        "received and returned of an allotment are what its transfers say",
        """
        SELECT format('allotment %s: received %s/%s returned %s/%s', a.id, a.received_minor,
                      COALESCE(t.received, 0), a.returned_minor, COALESCE(t.returned, 0))
        FROM allotment a
        LEFT JOIN (
            SELECT allotment_id,
                   sum(amount_minor) FILTER (WHERE kind = 'allotment' AND state = 'received')
                       AS received,
                   sum(amount_minor) FILTER (WHERE kind = 'return') AS returned
            FROM transfer GROUP BY 1
        ) t ON t.allotment_id = a.id
        WHERE (a.received_minor, a.returned_minor)
              <> (COALESCE(t.received, 0), COALESCE(t.returned, 0))
        """,
    ),
    Check(
        "allotments_agree_with_commitments",
        "held, committed and spent of an allotment are what its commitments say",
        """
        SELECT format('allotment %s: held %s/%s committed %s/%s spent %s/%s', a.id,
                      a.held_minor, COALESCE(c.held, 0), a.committed_minor,
                      COALESCE(c.committed, 0), a.spent_minor, COALESCE(c.spent, 0))
        FROM allotment a
        LEFT JOIN (
            SELECT allotment_id,
                   sum(amount_minor) FILTER (WHERE state = 'held') AS held,
                   sum(amount_minor) FILTER (WHERE state = 'committed') AS committed,
                   sum(amount_minor) FILTER (WHERE state = 'spent') AS spent
            FROM commitment GROUP BY allotment_id
        ) c ON c.allotment_id = a.id
        WHERE (a.held_minor, a.committed_minor, a.spent_minor)
              <> (COALESCE(c.held, 0), COALESCE(c.committed, 0), COALESCE(c.spent, 0))
        """,
    ),
    Check(
        "ledger_agrees_with_allotments",
        "what the ledger calls available and spent is what the allotments say",
        """
        SELECT format('allotment %s: spent %s/%s available %s/%s', a.id, a.spent_minor,
                      COALESCE(s.balance_minor, 0),
                      a.received_minor - a.returned_minor - a.spent_minor,
                      COALESCE(f.balance_minor, 0))
        FROM allotment a
        LEFT JOIN account s ON s.allotment_id = a.id AND s.code = 'spent'
        LEFT JOIN account f ON f.allotment_id = a.id AND f.code = 'available'
        WHERE a.spent_minor <> COALESCE(s.balance_minor, 0)
           OR a.received_minor - a.returned_minor - a.spent_minor <> COALESCE(f.balance_minor, 0)
        """,
    ),
    Check(
        "rebalancings_are_transfers",
        "what a proposal between holders says went back and on is what two transfers moved, once "
        "each, and what was signed for went on",
        """
        SELECT format('rebalancing %s: %s came back, by transfer %s', r.id, r.returned_minor,
                      COALESCE(b.amount_minor, 0))
        FROM rebalancing r
        LEFT JOIN transfer b ON b.id = r.return_id AND b.kind = 'return'
              AND b.allotment_id = r.allotment_id
        WHERE r.returned_minor <> COALESCE(b.amount_minor, 0)
        UNION ALL
        SELECT format('rebalancing %s: %s went on to %s, by transfer %s', r.id, r.returned_minor,
                      r.to_region, COALESCE(s.amount_minor, 0))
        FROM rebalancing r
        LEFT JOIN transfer s ON s.id = r.sending_id AND s.kind = 'allotment'
              AND s.to_region = r.to_region AND s.currency = r.currency
        WHERE r.state = 'moved' AND r.returned_minor <> COALESCE(s.amount_minor, 0)
        UNION ALL
        SELECT format('rebalancing %s: signed for since %s, and did not go on', id, changed_at)
        FROM rebalancing WHERE state = 'returned' AND signed_by IS NOT NULL AND hindrance IS NULL
          AND changed_at < now() - interval '60 seconds'
        UNION ALL
        SELECT format('asked for %s: %s went back, by transfer %s', a.id, a.prepared_minor,
                      COALESCE(b.amount_minor, 0))
        FROM return_ask a
        LEFT JOIN transfer b ON b.id = a.return_id AND b.kind = 'return'
              AND b.allotment_id = a.allotment_id
        WHERE a.state = 'returned' AND a.prepared_minor <> COALESCE(b.amount_minor, 0)
        """,
    ),
    Check(
        "no_need_paid_twice",
        "a need is paid out at most once, and what is paid out was settled by one payout, "
        "unless a discrepancy says that cash was paid without money or beside another payment",
        """
        SELECT format('need %s: paid out by %s commitments', need_id, count(*)) FROM commitment
        WHERE state = 'spent' AND purpose = 'payout'
          AND NOT EXISTS (SELECT FROM discrepancy d
                          WHERE d.commitment_id = commitment.id AND d.about = 'paid_twice')
        GROUP BY need_id HAVING count(*) > 1
        UNION ALL
        SELECT format('commitment %s of need %s is %s, with %s settled payouts', c.id, c.need_id,
                      c.state, count(p.id))
        FROM commitment c
        LEFT JOIN payout p ON p.commitment_id = c.id AND p.state = 'settled'
              AND NOT (c.state = 'released' AND EXISTS (
                  SELECT FROM discrepancy d WHERE d.commitment_id = c.id
                  AND d.about IN ('no_money', 'paid_twice')))
        WHERE c.purpose = 'payout' AND c.attempt_no > 0
        GROUP BY c.id
        HAVING count(p.id) <> CASE WHEN c.state = 'spent' THEN 1 ELSE 0 END
        """,
    ),
    Check(
        "holds_expire",
        "no hold outlives its time by more than a sweep",
        """
        SELECT format('commitment %s held until %s', id, hold_until) FROM commitment
        WHERE state = 'held' AND hold_until < now() - interval '60 seconds'
        """,
    ),
    Check(
        "payouts_go_as_was_said",
        "a payout whose details are here says how it goes: cash is fetched, the rest is sent",
        """
        SELECT format('payout %s', p.id) FROM payout p
        JOIN payee ON payee.payee_ref = p.payee_ref
        WHERE p.mechanism IS NULL AND payee.mechanism IS NOT NULL
        """,
    ),
    Check(
        "erased_payees_stay_erased",
        "nothing is kept of whom erased needs were to be paid to, unless money went there",
        """
        SELECT format('payee %s', payee.payee_ref)
        FROM payee JOIN erased_need e ON e.need_id = payee.need_id
        WHERE e.erased_at < now() - interval '5 minutes'
          AND NOT EXISTS (SELECT FROM payout p WHERE p.payee_ref = payee.payee_ref
                          AND p.state IN ('exported', 'accepted', 'settled', 'returned'))
          AND NOT EXISTS (SELECT FROM commitment c WHERE c.need_id = payee.need_id
                          AND c.attempt_no = 0 AND c.spent_on IS NOT NULL)
        """,
    ),
)
