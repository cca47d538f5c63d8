-- Who entered what a bill asks for: beyond what was ordered, somebody else pays it.
-- depends: 0016_payments_settlements

-- migrate: apply

ALTER TABLE purchase ADD COLUMN biller uuid;

-- migrate: rollback

ALTER TABLE purchase DROP COLUMN biller;
