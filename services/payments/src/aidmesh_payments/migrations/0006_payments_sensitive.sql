-- Needs of which only some roles may see what the money is for. Of those before, nobody said.
-- depends: 0005_payments_keyed_rows

-- migrate: apply

ALTER TABLE need_attempt ADD COLUMN sensitive boolean NOT NULL DEFAULT true;

-- migrate: rollback
ALTER TABLE need_attempt DROP COLUMN sensitive;
