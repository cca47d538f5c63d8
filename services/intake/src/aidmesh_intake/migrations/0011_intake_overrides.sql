-- Who let a need pass against a limit or a duplicate gave a reason: it stays readable.
-- depends: 0010_intake_settled

-- migrate: apply

ALTER TABLE need_event
    ADD COLUMN overrode text CHECK (overrode IN ('limit', 'duplicate')),
    ADD COLUMN override_reason text,
    ADD CHECK ((overrode IS NULL) = (override_reason IS NULL));

-- migrate: rollback
ALTER TABLE need_event DROP COLUMN overrode, DROP COLUMN override_reason;
