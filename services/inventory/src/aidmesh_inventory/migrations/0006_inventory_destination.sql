-- Goods for a site may come from another one.
-- depends: 0005_inventory_sensitive

-- migrate: apply

ALTER TABLE reservation ADD COLUMN to_site_id uuid REFERENCES site;

-- migrate: rollback

ALTER TABLE reservation DROP COLUMN to_site_id;
