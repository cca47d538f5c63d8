-- Where hours count, as for PEP, a need ends at its hour and not with the day.
-- depends: 0007_intake_taken_rows

-- migrate: apply

ALTER TABLE need ADD COLUMN needed_until timestamptz;
CREATE INDEX need_until ON need (needed_until) WHERE needed_until IS NOT NULL
    AND state IN ('requested', 'waitlisted', 'approved', 'held', 'ready');

-- migrate: rollback
DROP INDEX need_until;
ALTER TABLE need DROP COLUMN needed_until;
