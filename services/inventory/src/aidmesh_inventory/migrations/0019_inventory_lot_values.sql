-- What donated goods are worth is corrected as well.
-- depends: 0018_inventory_still_here

-- migrate: apply

-- NULL where it was corrected before values could be: the value stayed.
ALTER TABLE lot_correction ADD COLUMN unit_value_minor bigint, ADD COLUMN currency text;

-- migrate: rollback

ALTER TABLE lot_correction DROP COLUMN unit_value_minor, DROP COLUMN currency;
