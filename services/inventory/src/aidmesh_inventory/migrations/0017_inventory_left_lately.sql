-- Who was checked out lately is listed, for a check-out of the wrong guest to be taken back.
-- depends: 0016_inventory_sensitive_index

-- migrate: apply

CREATE INDEX bed_booking_left ON bed_booking (left_on) WHERE live AND left_on IS NOT NULL;

-- migrate: rollback

DROP INDEX bed_booking_left;
