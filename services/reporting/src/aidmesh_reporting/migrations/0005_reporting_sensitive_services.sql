-- Services of what only some roles may see. Of those before, nobody said.
-- depends: 0004_reporting_rest

-- migrate: apply

ALTER TABLE service ADD COLUMN sensitive boolean NOT NULL DEFAULT true;

-- migrate: rollback

ALTER TABLE service DROP COLUMN sensitive;
