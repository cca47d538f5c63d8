-- what is told anew in a new epoch is told part by part
-- depends: 0010_inbox_time

-- migrate: apply

-- Up to where in the outbox it was told; NULL when all of it was.
ALTER TABLE told_epoch ADD COLUMN told_seq bigint;

-- migrate: rollback
ALTER TABLE told_epoch DROP COLUMN told_seq;
