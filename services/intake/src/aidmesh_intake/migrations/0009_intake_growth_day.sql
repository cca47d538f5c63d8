-- Free seats of a slot are of use only to those who look at its day.
-- depends: 0008_intake_hours

-- migrate: apply

ALTER TABLE growth ADD COLUMN on_day date;

-- migrate: rollback

ALTER TABLE growth DROP COLUMN on_day;
