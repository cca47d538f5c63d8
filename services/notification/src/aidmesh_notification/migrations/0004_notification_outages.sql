-- Channels that take nothing at the moment: what is for them waits, and no try is used up.
-- depends: 0003_notification_cause

-- migrate: apply

CREATE TABLE channel_outage (
    channel text PRIMARY KEY CHECK (channel IN ('email', 'sms', 'file')),
    since timestamptz NOT NULL,
    -- One message is tried then, or as soon afterwards as one waits for it.
    look_at timestamptz NOT NULL CHECK (look_at >= since)
);

-- migrate: rollback
DROP TABLE channel_outage;
