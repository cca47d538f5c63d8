-- As the days pass, slots come into the days that waiting needs look at: free seats are told anew.
-- depends: 0014_inventory_corrections

-- migrate: apply

-- The day on which intake was last told of all free seats.
ALTER TABLE capacity_state
    ADD COLUMN grown_on date NOT NULL DEFAULT (now() AT TIME ZONE 'Europe/Kyiv')::date;

-- migrate: rollback

ALTER TABLE capacity_state DROP COLUMN grown_on;
