-- Who waits for a site that has opened since is asked for once more; nobody had woken them.
-- depends: 0028_intake_also_lacks

-- migrate: apply

-- Intake does not know which sites those are; where one is still closed they wait as before.
UPDATE need SET wait = 'hold_expired', retry_at = now()
WHERE state = 'waitlisted' AND wait = 'closed';

-- migrate: rollback

SELECT 1;
