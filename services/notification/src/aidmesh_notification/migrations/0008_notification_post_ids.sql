-- What a message is called on its way: nothing else leads from a mail to a need.
-- depends: 0007_notification_erased_limits

-- migrate: apply

ALTER TABLE message
    -- Made up when it first leaves; forgotten with its person, or once nobody reports on it.
    ADD COLUMN post_id uuid;
-- Those that left before were called by their own id, and may be reported on.
UPDATE message m SET post_id = message_id
WHERE state IN ('sending', 'sent', 'delivered', 'unknown')
  AND changed_at > now() - interval '14 days'
  AND NOT EXISTS (
    SELECT FROM contact c WHERE c.person_id = m.person_id AND c.erased_at IS NOT NULL);
CREATE UNIQUE INDEX message_post ON message (post_id) WHERE post_id IS NOT NULL;
CREATE INDEX message_posted ON message (changed_at) WHERE post_id IS NOT NULL;
CREATE INDEX message_posted_to ON message (person_id) WHERE post_id IS NOT NULL;

-- migrate: rollback
ALTER TABLE message DROP COLUMN post_id;
