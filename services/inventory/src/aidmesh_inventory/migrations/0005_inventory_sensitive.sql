-- Reservations of needs that only some roles may see. Of those made before, nobody said.
-- depends: 0004_inventory_keyed_rows

-- migrate: apply

ALTER TABLE reservation ADD COLUMN sensitive boolean NOT NULL DEFAULT true;

-- migrate: rollback
ALTER TABLE reservation DROP COLUMN sensitive;
