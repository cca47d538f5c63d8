-- When to come to the bed or the slot that is kept for a need: what the person is told.
-- depends: 0020_intake_chosen_needs

-- migrate: apply

ALTER TABLE need ADD COLUMN visit jsonb;

-- migrate: rollback

ALTER TABLE need DROP COLUMN visit;
