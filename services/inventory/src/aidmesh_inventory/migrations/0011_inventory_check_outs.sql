-- Check-outs by the clock, and check-outs that are taken back.
-- depends: 0010_inventory_told

-- migrate: apply

-- `booked` is the stay before the guest left, `left_by_clock` says that nobody said so.
ALTER TABLE bed_booking ADD COLUMN booked daterange,
    ADD COLUMN left_by_clock boolean NOT NULL DEFAULT false,
    ADD CHECK (NOT left_by_clock OR left_on IS NOT NULL);
CREATE INDEX bed_booking_staying ON bed_booking (upper(stay)) WHERE live AND left_on IS NULL;
CREATE INDEX bed_booking_by_clock ON bed_booking (reservation_id) WHERE live AND left_by_clock;

-- How often its nights were told of: the last word holds.
ALTER TABLE reservation ADD COLUMN settle_no int NOT NULL DEFAULT 0;
UPDATE reservation r SET settle_no = 1
WHERE EXISTS (SELECT FROM bed_booking g WHERE g.reservation_id = r.id AND g.left_on IS NOT NULL);

-- migrate: rollback

ALTER TABLE reservation DROP COLUMN settle_no;
DROP INDEX bed_booking_staying, bed_booking_by_clock;
ALTER TABLE bed_booking DROP COLUMN booked, DROP COLUMN left_by_clock;
