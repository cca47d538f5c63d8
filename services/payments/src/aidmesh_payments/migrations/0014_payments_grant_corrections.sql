-- Instalments that were entered wrong or will not come, and demands that a donor took back.
-- depends: 0013_payments_purchase_corrections

-- migrate: apply

ALTER TABLE journal
    DROP CONSTRAINT journal_kind_check,
    ADD CONSTRAINT journal_kind_check CHECK (kind IN (
        'instalment', 'instalment_reversed', 'allotment_sent', 'allotment_received',
        'return_sent', 'return_received', 'spending', 'spending_reversed',
        'exchange_difference', 'refund_due', 'demand_withdrawn', 'refund'));

-- What was received stays readable when it is reversed.
ALTER TABLE instalment
    DROP CONSTRAINT instalment_state_check,
    DROP CONSTRAINT instalment_check,
    ADD COLUMN reason text,
    ADD COLUMN corrected_by uuid,
    ADD CONSTRAINT instalment_state_check
        CHECK (state IN ('expected', 'received', 'reversed', 'withdrawn')),
    ADD CONSTRAINT instalment_check CHECK (
        (state IN ('received', 'reversed'))
        = (received_minor IS NOT NULL AND received_on IS NOT NULL AND paid_minor IS NOT NULL
           AND paid_currency IS NOT NULL AND bank_reference IS NOT NULL)),
    ADD CONSTRAINT instalment_corrected CHECK (
        (state IN ('reversed', 'withdrawn')) = (reason IS NOT NULL AND corrected_by IS NOT NULL));

-- migrate: rollback

ALTER TABLE instalment
    DROP CONSTRAINT instalment_corrected,
    DROP CONSTRAINT instalment_check,
    DROP CONSTRAINT instalment_state_check,
    DROP COLUMN reason,
    DROP COLUMN corrected_by,
    ADD CONSTRAINT instalment_state_check CHECK (state IN ('expected', 'received')),
    ADD CONSTRAINT instalment_check CHECK (
        (state = 'received')
        = (received_minor IS NOT NULL AND received_on IS NOT NULL AND paid_minor IS NOT NULL
           AND paid_currency IS NOT NULL AND bank_reference IS NOT NULL));
ALTER TABLE journal
    DROP CONSTRAINT journal_kind_check,
    ADD CONSTRAINT journal_kind_check CHECK (kind IN (
        'instalment', 'allotment_sent', 'allotment_received', 'return_sent', 'return_received',
        'spending', 'spending_reversed', 'exchange_difference', 'refund_due', 'refund'));
