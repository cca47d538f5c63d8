"""What must hold in payments' books; `aidmesh verify` runs it."""

from aidmesh_chassis.checks import Check

CHECKS = (
    Check(
        "ledger_balances",
        "all postings sum to zero in every currency",
        """
        SELECT format('%s: %s', currency, sum(amount_minor)) FROM posting
        GROUP BY currency HAVING sum(amount_minor) <> 0
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
        "received = unallotted + allotted + exchange difference + refunds, for every own grant",
        """
        SELECT format('grant %s: received %s', code, received_minor) FROM donor_grant
        WHERE received_minor <> unallotted_minor + allotted_minor + exchange_difference_minor
                                + refund_due_minor + refunded_minor
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
        "allotted_is_sent_less_returned",
        "what a grant counts as allotted is what it sent less what came back",
        """
        SELECT format('grant %s: allotted %s, sent less returned %s', g.code, g.allotted_minor,
                      COALESCE(a.total, 0))
        FROM donor_grant g
        LEFT JOIN (SELECT grant_id, sum(granted_minor - returned_granted_minor) AS total
                   FROM grant_allotment GROUP BY 1) a ON a.grant_id = g.id
        WHERE g.allotted_minor <> COALESCE(a.total, 0)
        """,
    ),
    Check(
        "holder_equation",
        "held + committed + spent is at most received less returned, for every allotment",
        """
        SELECT format('allotment %s', id) FROM allotment
        WHERE held_minor + committed_minor + spent_minor > received_minor - returned_minor
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
        "no_need_paid_twice",
        "a need has at most one payout that is under way or settled",
        """
        SELECT format('need %s: %s payouts', need_id, count(*)) FROM payout
        WHERE state IN ('draft', 'approved', 'exported', 'accepted', 'settled')
        GROUP BY need_id HAVING count(*) > 1
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
)
