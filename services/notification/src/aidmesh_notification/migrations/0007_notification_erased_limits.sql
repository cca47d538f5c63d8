-- What tells until when something was of use goes with whoever is erased, and is no household's.
-- depends: 0005_notification_until

-- migrate: apply

UPDATE message SET until_at = NULL, expires_at = now(), due_at = now()
WHERE person_id IS NULL AND until_at IS NOT NULL;
UPDATE message m SET until_at = NULL, expires_at = now(), due_at = now()
FROM contact c WHERE c.person_id = m.person_id AND c.erased_at IS NOT NULL;

-- migrate: rollback

-- What was forgotten stays so.
SELECT 1;
