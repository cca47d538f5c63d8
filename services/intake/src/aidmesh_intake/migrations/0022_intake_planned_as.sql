-- How long the day that a need is planned for stands once it has gone by.
-- depends: 0021_intake_visit

-- migrate: apply

ALTER TABLE need ADD COLUMN planned_as text NOT NULL DEFAULT 'coming'
    CHECK (planned_as IN ('coming', 'asked', 'written'));
-- What was told apart by nobody so far: a day gone by that is no other day of the need was written
-- down; of a row of which only the day it was asked on was known, the next attempt goes by today.
UPDATE need SET planned_as = 'written'
WHERE planned_on < (recorded_at AT TIME ZONE 'Europe/Kyiv')::date
    AND planned_on <> asked_on AND planned_on IS DISTINCT FROM needed_by
    AND state IN ('requested', 'approved', 'held', 'ready', 'waitlisted');

-- migrate: rollback

ALTER TABLE need DROP COLUMN planned_as;
