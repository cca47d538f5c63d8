-- Whether what is paid is sent to the person, or whether they come for it.
-- depends: 0023_intake_codes_of_others

-- migrate: apply

-- NULL where nobody is paid, and of what was asked for before: payments says so when it commits.
ALTER TABLE need ADD COLUMN sent boolean;

-- migrate: rollback

ALTER TABLE need DROP COLUMN sent;
