"""Every SQL statement of payments, set-based.

Rows are locked in this order, and by id within a table, so that transactions queue up instead of
deadlocking: need_attempt, allotment, commitment, payout, purchase, donor_grant, account,
paying_order.
"""
