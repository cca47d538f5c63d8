-- Other regions are told of an allotment by a sweep, once for all that happened in between.
-- depends: 0009_payments_erasure

-- migrate: apply

ALTER TABLE allotment ADD COLUMN told_version int NOT NULL DEFAULT 0;
UPDATE allotment SET told_version = version;

-- migrate: rollback

ALTER TABLE allotment DROP COLUMN told_version;
