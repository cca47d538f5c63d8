-- Guests of whom somebody said that they are still here are looked for wherever a bed is.
-- depends: 0032_inventory_grant_terms

-- migrate: apply

CREATE INDEX bed_booking_still_here ON bed_booking (bed_id) WHERE live AND still_here;

-- migrate: rollback

DROP INDEX bed_booking_still_here;
