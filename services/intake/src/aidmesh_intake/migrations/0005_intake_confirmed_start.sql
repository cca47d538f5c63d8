-- Needs that are served when their start is confirmed, such as PrEP after its appointment.
-- depends: 0004_intake_last_day

-- migrate: apply

ALTER TABLE need
    ADD COLUMN confirmed_start boolean NOT NULL DEFAULT false,
    -- The appointment that was kept: its start is to be confirmed.
    ADD COLUMN attended jsonb;
CREATE INDEX need_to_confirm ON need (priority DESC, asked_on, queue_no)
    WHERE state = 'ready' AND attended IS NOT NULL;

-- migrate: rollback
DROP INDEX need_to_confirm;
ALTER TABLE need DROP COLUMN confirmed_start, DROP COLUMN attended;
