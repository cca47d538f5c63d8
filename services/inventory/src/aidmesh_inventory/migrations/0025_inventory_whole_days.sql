-- People who wait to fetch goods were told a day: all of it is theirs.
-- depends: 0024_inventory_chosen_needs

-- migrate: apply

UPDATE reservation
SET collect_by = ((collect_by AT TIME ZONE 'Europe/Kyiv')::date + 1)::timestamp
        AT TIME ZONE 'Europe/Kyiv' - interval '1 microsecond'
WHERE state = 'confirmed' AND way = 'handover' AND collect_by IS NOT NULL;

-- migrate: rollback

-- Nobody is sent away again from a day that they were given.
SELECT 1;
