-- When the person is to come, where that goes by other than the days that goods are kept.
-- depends: 0004_notification_outages

-- migrate: apply

ALTER TABLE message
    -- Of an appointment.
    ADD COLUMN starts_at timestamptz,
    -- The first night of a bed.
    ADD COLUMN from_on date,
    -- After this it is of no use, or somebody else has the bed; forgotten when they are erased.
    ADD COLUMN until_at timestamptz;
CREATE INDEX message_until ON message (person_id) WHERE until_at IS NOT NULL;

-- migrate: rollback
DROP INDEX message_until;
ALTER TABLE message DROP COLUMN starts_at, DROP COLUMN from_on, DROP COLUMN until_at;
