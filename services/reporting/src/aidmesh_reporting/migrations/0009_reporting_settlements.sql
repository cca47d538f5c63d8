-- A check-out can be corrected: of a stay the last settlement holds.
-- depends: 0004_reporting_rest

-- migrate: apply

-- NULL where the event was told before it counted its settlements.
ALTER TABLE stay ADD COLUMN settle_no int;

-- migrate: rollback

ALTER TABLE stay DROP COLUMN settle_no;
