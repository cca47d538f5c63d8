-- What is held for sensitive needs is summed up for every page of stock.
-- depends: 0015_inventory_grown

-- migrate: apply

CREATE INDEX reservation_sensitive ON reservation (site_id, id)
    WHERE sensitive AND state IN ('held', 'confirmed');

-- migrate: rollback

DROP INDEX reservation_sensitive;
