-- what is sealed and was not published yet can be withdrawn
-- depends: 0002_idempotency

-- migrate: apply

-- `withdrawn`: whoever the event spoke of was erased before it left; its payload is gone.
ALTER TABLE outbox DROP CONSTRAINT outbox_status_check;
ALTER TABLE outbox ADD CONSTRAINT outbox_status_check
    CHECK (status IN ('pending', 'acked', 'withdrawn'));

-- migrate: rollback

DELETE FROM outbox WHERE status = 'withdrawn';
ALTER TABLE outbox DROP CONSTRAINT outbox_status_check;
ALTER TABLE outbox ADD CONSTRAINT outbox_status_check CHECK (status IN ('pending', 'acked'));
