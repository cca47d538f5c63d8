-- A refund that did not go to the donor, or that the bank sent back, is set aside again.
-- depends: 0042_payments_given_up_purchases

-- migrate: apply

ALTER TABLE journal
    DROP CONSTRAINT journal_kind_check,
    ADD CONSTRAINT journal_kind_check CHECK (kind IN (
        'instalment', 'instalment_reversed', 'allotment_sent', 'allotment_received',
        'return_sent', 'return_received', 'spending', 'spending_reversed',
        'exchange_difference', 'refund_due', 'refund_due_reversed', 'demand_withdrawn', 'refund',
        'refund_reversed'));

-- migrate: rollback

ALTER TABLE journal
    DROP CONSTRAINT journal_kind_check,
    ADD CONSTRAINT journal_kind_check CHECK (kind IN (
        'instalment', 'instalment_reversed', 'allotment_sent', 'allotment_received',
        'return_sent', 'return_received', 'spending', 'spending_reversed',
        'exchange_difference', 'refund_due', 'refund_due_reversed', 'demand_withdrawn', 'refund'));
