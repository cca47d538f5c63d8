-- Other regions are told of free places by a sweep, and of seats as they are shown to most.
-- depends: 0033_inventory_beds_kept

-- migrate: apply

-- What was told last, under `version`; the other numbers are what is free now. `untold`: they were
-- counted since others were told.
ALTER TABLE capacity_state
    ADD COLUMN told_on date,
    ADD COLUMN told_by_day int[] NOT NULL DEFAULT '{}',
    ADD COLUMN told_total int NOT NULL DEFAULT 0,
    ADD COLUMN untold boolean NOT NULL DEFAULT false;
UPDATE capacity_state
SET told_on = first_on, told_by_day = free_by_day, told_total = total,
    untold = first_on IS NOT NULL AND resource = 'slot';

-- migrate: rollback

UPDATE capacity_state
SET first_on = told_on, free_by_day = told_by_day, total = told_total
WHERE told_on IS NOT NULL;
ALTER TABLE capacity_state
    DROP COLUMN untold, DROP COLUMN told_total, DROP COLUMN told_by_day, DROP COLUMN told_on;
