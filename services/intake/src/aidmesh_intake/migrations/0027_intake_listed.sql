-- A page of all needs is read in their order, not sorted out of the whole history.
-- depends: 0024_intake_sent

-- migrate: apply

CREATE INDEX need_listed ON need (priority DESC, asked_on, queue_no, id);

-- migrate: rollback

DROP INDEX need_listed;
