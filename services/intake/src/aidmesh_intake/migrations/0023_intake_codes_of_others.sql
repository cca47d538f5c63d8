-- Persons who were referred here are not found by the code of the region that referred them.
-- depends: 0022_intake_planned_as

-- migrate: apply

-- The codes themselves are encrypted, and what they are found by is a keyed hash: nothing here can
-- tell a foreign code from one that was given to the same person here. Only of records that nobody
-- has written since they were made is it sure. What was asked for with such a code in the meantime
-- went to the record that it found; whether that is the right one is for people to see.
UPDATE person SET code_lookup = NULL, version = version + 1
WHERE version = 1 AND code_lookup IS NOT NULL
    AND id IN (SELECT person_id FROM referral_in WHERE person_id IS NOT NULL);

-- migrate: rollback
