-- A guest of whom a person said that they had not left is not checked out by the clock.
-- depends: 0017_inventory_left_lately

-- migrate: apply

ALTER TABLE bed_booking ADD COLUMN still_here boolean NOT NULL DEFAULT false,
    ADD CONSTRAINT bed_booking_still_here CHECK (NOT still_here OR left_on IS NULL);

-- migrate: rollback

ALTER TABLE bed_booking DROP COLUMN still_here;
