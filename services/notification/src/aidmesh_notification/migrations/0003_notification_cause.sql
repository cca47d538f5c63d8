-- What a message goes back to, so that what is said of it later can be followed to its beginning.
-- depends: 0002_notification_reports

-- migrate: apply

ALTER TABLE message
    -- Of the request that it all began with.
    ADD COLUMN correlation_id uuid,
    -- W3C trace context of the news that the need is ready, where traces are on.
    ADD COLUMN traceparent text;

-- migrate: rollback
ALTER TABLE message DROP COLUMN correlation_id, DROP COLUMN traceparent;
