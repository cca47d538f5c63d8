-- Who waits for what only some roles may see. Of those before, nobody said.
-- depends: 0001_reporting

-- migrate: apply

ALTER TABLE waiting ADD COLUMN sensitive boolean NOT NULL DEFAULT true;

-- migrate: rollback
ALTER TABLE waiting DROP COLUMN sensitive;
