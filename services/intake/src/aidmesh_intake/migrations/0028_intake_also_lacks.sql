-- What else a waiting need was refused in the attempt since which it waits.
-- depends: 0027_intake_listed

-- migrate: apply

ALTER TABLE need ADD COLUMN also_lacks jsonb;
COMMENT ON COLUMN need.also_lacks IS 'For people to see: growth of it wakes nobody.';

-- migrate: rollback

ALTER TABLE need DROP COLUMN also_lacks;
