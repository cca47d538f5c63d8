-- Every need that is not served may have a last day that lists and sweeps look for.
-- depends: 0003_intake_days

-- migrate: apply

-- What is ready and takes nothing, such as PEP navigation, expires too.
DROP INDEX need_last_day;
CREATE INDEX need_last_day ON need (needed_by) WHERE needed_by IS NOT NULL
    AND state IN ('requested', 'waitlisted', 'approved', 'held', 'ready');

-- migrate: rollback
DROP INDEX need_last_day;
CREATE INDEX need_last_day ON need (needed_by)
    WHERE needed_by IS NOT NULL AND state IN ('requested', 'waitlisted');
