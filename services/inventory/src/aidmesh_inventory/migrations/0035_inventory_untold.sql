-- What is to be told is found without reading what was told: a sweep asks every second.
-- depends: 0034_inventory_capacity_told

-- migrate: apply

CREATE INDEX stock_state_untold ON stock_state (site_id, item) WHERE version > told_version;
CREATE INDEX capacity_state_untold ON capacity_state (site_id, resource, code) WHERE untold;

-- migrate: rollback

DROP INDEX stock_state_untold, capacity_state_untold;
