-- A check-out can be corrected: of a stay the last settlement holds.
-- depends: 0015_payments_amendments

-- migrate: apply

-- The highest settlement that was taken in; the wire promises no order.
ALTER TABLE commitment ADD COLUMN settle_no int NOT NULL DEFAULT 0;

-- migrate: rollback

ALTER TABLE commitment DROP COLUMN settle_no;
