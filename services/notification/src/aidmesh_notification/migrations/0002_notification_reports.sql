-- What gateways and staff report about messages that left.
-- depends: 0001_notification

-- migrate: apply

ALTER TABLE message
    -- A code of the gateway's, such as `mailbox_full` or `5.1.1`.
    ADD COLUMN report_code text,
    ADD COLUMN reported_at timestamptz,
    DROP CONSTRAINT message_reason_check,
    DROP CONSTRAINT message_check4,
    ADD CONSTRAINT message_reason_check CHECK (reason IN ('no_safe_contact', 'erased',
        'superseded', 'expired', 'failed', 'rejected', 'unknown', 'undelivered')),
    -- What came back undelivered had been sent.
    ADD CONSTRAINT message_sent CHECK ((sent_at IS NOT NULL)
        = (state IN ('sent', 'delivered') OR reason IS NOT DISTINCT FROM 'undelivered'));

-- migrate: rollback
ALTER TABLE message DROP CONSTRAINT message_sent, DROP COLUMN report_code,
    DROP COLUMN reported_at;
