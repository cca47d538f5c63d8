-- Other regions are told of stock by a sweep, once for all that happened in between.
-- depends: 0009_inventory_alerts

-- migrate: apply

ALTER TABLE stock_state ADD COLUMN told_version int NOT NULL DEFAULT 0;
UPDATE stock_state SET told_version = version;

-- migrate: rollback

ALTER TABLE stock_state DROP COLUMN told_version;
