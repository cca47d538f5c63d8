-- Whose spending a journal is: of what is sensitive some see the amount, not the grant.
-- depends: 0010_payments_told

-- migrate: apply

-- NULL of spending booked before: nobody said, so it is taken to be sensitive.
ALTER TABLE journal ADD COLUMN commitment_id uuid;

-- migrate: rollback

ALTER TABLE journal DROP COLUMN commitment_id;
