-- when an epoch began to be told: what transactions of before write is waited for
-- depends: 0011_told_in_parts

-- migrate: apply

ALTER TABLE told_epoch ADD COLUMN since timestamptz NOT NULL DEFAULT clock_timestamp();

-- migrate: rollback
ALTER TABLE told_epoch DROP COLUMN since;
